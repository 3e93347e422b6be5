"""Tags: reads the tag texts that providers write, and normalises keys so that one tag is one dimension."""

from __future__ import annotations

import json

# What providers put before the key that a person chose.
_PREFIXES = ("resource_tags_user_", "resourcetags/user:", "user:", "tag:", "tags/", "labels/", "label:")
_KEY_NAMES = ("key", "Key", "name", "tag_key", "TagKey")
_VALUE_NAMES = ("value", "Value", "tag_value", "TagValue")


def read(text: str) -> dict[str, str] | None:
    """Key-value pairs of a tag text, keys as written; None when it cannot be read. No tags: an empty dict.

    Understood: a JSON object, a JSON list of key/value objects, a JSON list of "key:value" texts, and Azure's
    object without its outer braces.
    """
    stripped = text.strip()
    if stripped.lower() in {"", "null", "{}", "[]"}:
        return {}
    parsed = _json(stripped)
    if parsed is None and stripped.startswith('"'):
        parsed = _json("{" + stripped.rstrip(",") + "}")
    if isinstance(parsed, dict):
        return {str(k): _value(v) for k, v in parsed.items()}
    if isinstance(parsed, list):
        return _from_list(parsed)
    return None


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def _value(value: object) -> str:
    # FOCUS: a key that cannot have a value is written as true.
    if value is True:
        return "true"
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _from_list(items: list[object]) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for item in items:
        if isinstance(item, dict):
            key = next((item[n] for n in _KEY_NAMES if n in item), None)
            if key is None:
                # One-pair objects: [{"team": "search"}, {"env": "prod"}].
                pairs.update({str(k): _value(v) for k, v in item.items()})
                continue
            pairs[str(key)] = _value(next((item[n] for n in _VALUE_NAMES if n in item), None))
        elif isinstance(item, str) and item.strip():
            key, mark, value = item.partition(":" if ":" in item else "=")
            pairs[key.strip()] = value.strip() if mark else "true"
        else:
            return None
    return pairs


def squeeze(key: str) -> str:
    """The form in which keys are compared: no provider prefix, lower case, without separators."""
    folded = key.strip().lower()
    for prefix in _PREFIXES:
        folded = folded.removeprefix(prefix)
    return "".join(c for c in folded if c not in "-_ .")


def pick(pairs: dict[str, str], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The value of each wanted key, "" where there is none. Of several spellings the exact one wins, then the first."""
    found: dict[str, str] = {}
    for key in sorted(pairs, key=lambda k: (k.strip() not in keys, k)):
        if pairs[key]:
            found.setdefault(squeeze(key), pairs[key])
    return tuple(found.get(squeeze(key), "") for key in keys)
