"""Files that readers see whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_json(path: Path, document: object) -> None:
    """Write a JSON document beside its place, then put it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(part, path)
