"""Every question that we ask of Google Cloud and every answer of the sandbox's, held against Google's own descriptions."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds.rest import Answer, Ask, RestCloud, Route
from sandbox.organisation import GCP_BILLING_ACCOUNT
from tests.providers.conftest import Gcp, gcp, gcp_server  # noqa: F401 - fixtures
from tools.model.period import Period

SERVICES = (
    "bigquery.v2", "cloudbilling.v1", "cloudresourcemanager.v3", "compute.v1", "monitoring.v3", "recommender.v1",
    "sqladmin.v1", "storage.v1",
)  # fmt: skip
Schema = Mapping[str, Any]


@lru_cache(maxsize=1)
def descriptions() -> dict[str, dict[str, Any]]:
    """Google's discovery documents, as its Python client ships them; none where that is not installed."""
    found = importlib.util.find_spec("googleapiclient")
    if found is None or found.origin is None:
        return {}
    folder = Path(found.origin).parent / "discovery_cache" / "documents"
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in SERVICES}


def methods(resource: Schema) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for below in resource.get("resources", {}).values():
        yield from methods(below)


def described(ask: Ask) -> tuple[dict[str, Any], dict[str, Any]]:
    """The method that a request calls, and the document that describes it."""
    for document in descriptions().values():
        for method in methods(document):
            pattern = re.sub(
                r"\\{\w+\\}", "[^/]+", re.escape(f"/{document['servicePath']}{method.get('flatPath', method['path'])}")
            )
            if method["httpMethod"] == ask.method and re.fullmatch(pattern, ask.path):
                return method, document
    raise AssertionError(f"Google has no {ask.method} {ask.path}")


def wrong(value: Any, schema: Schema, schemas: Schema, where: str = "") -> Iterator[str]:
    """Everything in which a value is not as its schema says."""
    if "$ref" in schema:
        yield from wrong(value, schemas[schema["$ref"]], schemas, where)
        return
    kind = schema.get("type")
    if kind == "object":
        yield from _object_wrong(value, schema, schemas, where)
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for item in value:
            yield from wrong(item, schema["items"], schemas, f"{where}[]")
    elif not _is(kind, value):
        yield f"{where} is {value!r}, not a {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}, which is none of Google's words"


def _object_wrong(value: Any, schema: Schema, schemas: Schema, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in value.items():
        if name not in known and others is None:
            yield f"{where}.{name} does not exist"
        else:
            yield from wrong(inner, known.get(name, others), schemas, f"{where}.{name}")


def _is(kind: object, value: object) -> bool:
    if kind == "any":
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in {"integer", "number"}:
        return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return isinstance(value, str)


def test_what_is_asked_and_answered_is_as_google_describes_it(
    gcp: Gcp,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole collection: paths, parameters, bodies and answers, no unknown field, no wrong type, no unknown word."""
    if not descriptions():
        pytest.skip("google-api-python-client, which ships Google's discovery documents, is not installed")
    seen: list[tuple[Ask, Answer]] = []
    whole = RestCloud._answer

    def watched(self: RestCloud, route: Route | None, ask: Ask) -> Answer:
        answer = whole(self, route, ask)
        seen.append((ask, answer))
        return answer

    monkeypatch.setattr(RestCloud, "_answer", watched)
    inventory, billing = gcp.inventory(), gcp.billing()
    for access in inventory.check_access():
        inventory.prices(inventory.resources(access.account_id))
    billing.check_access()
    assert list(billing.charges(GCP_BILLING_ACCOUNT, Period(date(2026, 10, 1), date(2026, 11, 1))))
    problems: set[str] = set()
    for ask, answer in seen:
        assert answer.status == 200, (ask.path, answer.document)
        method, document = described(ask)
        problems |= {
            f"{method['id']} has no parameter {name}"
            for name in ask.query
            if name not in method.get("parameters", {}) and name not in document["parameters"]
        }
        if ask.method == "POST":
            problems |= {
                f"{method['id']} request{w}" for w in wrong(ask.document(), method["request"], document["schemas"])
            }
        problems |= {
            f"{method['id']} answer{w}" for w in wrong(answer.document, method["response"], document["schemas"])
        }
    assert not problems, "\n".join(sorted(problems))
    assert len({ask.path for ask, _ in seen}) > 30


def test_the_check_itself_finds_what_is_wrong() -> None:
    """An unknown field, a number as text, a word that Google does not have."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string", "enum": ["X"]}}}
    told = {"a": "1", "b": "Y", "c": datetime.now(UTC)}
    assert len(list(wrong(told, schema, {}))) == 3
    assert list(wrong({"a": 1, "b": "X"}, schema, {})) == []
    assert list(wrong(["x"], {"type": "array", "items": {"type": "boolean"}}, {})) == ["[] is 'x', not a boolean"]
