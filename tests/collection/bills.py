"""Bills for tests: small FOCUS files written by hand, the official vectors, and ingestion without a second process."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tools.collection import charges, rollup
from tools.collection.worker import Message, Progress, listed
from tools.model.errors import InputError
from tools.model.load import Load
from tools.providers.focus.files import FocusFile
from tools.store.database import Database, open_database

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "focus"
needs_vectors = pytest.mark.skipif(
    not VECTORS.exists(), reason="the official example data is not beside the repository"
)
TAG_KEYS = ("team", "env")
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

ROW = {
    "BilledCost": "1.5",
    "EffectiveCost": "1.25",
    "ListCost": "2",
    "ContractedCost": "1.75",
    "BillingAccountId": "123456789012",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargePeriodStart": "2026-10-02T05:00:00Z",
    "ChargePeriodEnd": "2026-10-02T06:00:00Z",
    "ProviderName": "AWS",
    "ServiceName": "Amazon S3",
    "ServiceCategory": "Storage",
    "SubAccountId": "012345678901",
    "SubAccountName": "shop",
    "RegionId": "eu-west-1",
    "ResourceId": "bucket-1",
    "SkuId": "SKU-1",
    "ConsumedQuantity": "3",
    "ConsumedUnit": "GB",
    "Tags": '{"team": "search", "env": "prod"}',
}


def bill(path: Path, *rows: dict[str, str], columns: Sequence[str] | None = None) -> Path:
    """Write a FOCUS csv file; each row says what differs from an ordinary one."""
    names = list(columns or dict.fromkeys([*ROW, *(k for row in rows for k in row)]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_whole(row).get(name, "") for name in names] for row in rows)
    return path


def _whole(row: dict[str, str]) -> dict[str, str]:
    """A billing period of which only the start is said does not end when the ordinary one does."""
    return {**ROW, **({"BillingPeriodEnd": ""} if "BillingPeriodStart" in row else {}), **row}


def read(
    database: Database,
    *paths: Path | str,
    tenant: str = "default",
    tag_keys: tuple[str, ...] = TAG_KEYS,
    detail_months: int = 4,
    provider: str | None = None,
    tag_values: int = charges.TAG_VALUES,
    now: Callable[[], datetime] = lambda: NOW,
) -> tuple[Load, ...]:
    """Ingest, as a person would with settings of the tests."""
    return charges.ingest(
        database,
        tenant,
        paths,
        tag_keys=tag_keys,
        detail_months=detail_months,
        provider=provider,
        tag_values=tag_values,
        now=now,
    )


class _Thread:
    """The roll-up's own code on the other end of two pipes, in a thread: saves the start of a process per test."""

    def __init__(self, request: dict[str, object]) -> None:
        to_child, from_child = os.pipe(), os.pipe()
        self._out, self._in = os.fdopen(to_child[1], "w"), os.fdopen(from_child[0])
        asked, told = os.fdopen(to_child[0]), os.fdopen(from_child[1], "w")

        def run() -> None:
            with asked, told:
                rollup.main(asked, told)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        self.tell(**request)

    def tell(self, **message: object) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def hear(self, event: str) -> Message:
        for line in self._in:
            message: dict[str, Any] = json.loads(line)
            if message["event"] == "error":
                raise InputError(message["what"], fix=message["fix"])
            if message["event"] == event:
                return message
        raise AssertionError("the roll-up ended early")

    def close(self) -> None:
        self._out.close()
        self._thread.join(30)
        self._in.close()


@contextmanager
def _in_a_thread(
    files: Sequence[FocusFile], tag_keys: Sequence[str], provider: str | None, progress: Progress | None
) -> Iterator[_Thread]:
    worker = _Thread({"files": listed(files), "tag_keys": list(tag_keys), "provider": provider})
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def in_one_process() -> Iterator[None]:
    """Roll up in a thread; the tests of the process itself do without this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charges, "rollup", _in_a_thread)
        yield


@pytest.fixture
def one_process() -> Iterator[None]:
    with in_one_process():
        yield


@contextmanager
def filled(empty: Path, folder: Path, *paths: Path) -> Iterator[tuple[Database, list[tuple[Load, ...]]]]:
    """A SQLite database with these files read one after the other, for tests that only look at it."""
    shutil.copy(empty, folder / "filled.db")
    database = open_database(f"sqlite:///{folder / 'filled.db'}", migrate=False)
    with in_one_process():
        loads = [read(database, path) for path in paths]
    yield database, loads
    database.dispose()
