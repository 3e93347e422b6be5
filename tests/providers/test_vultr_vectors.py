"""Vultr's own description and recorded answers: what we ask exists there, and what comes back is understood."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.providers.conftest import RestSide
from tests.providers.test_vultr import ACCOUNT, NOVEMBER, OCTOBER, billing, inventory
from tools.model.period import Period
from tools.model.resource import Resource
from tools.providers.vultr import mapping, prices
from tools.providers.vultr.connection import moment
from tools.providers.vultr.inventory import LISTS, _resource

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "vultr"
described = pytest.mark.skipif(not VECTORS.is_dir(), reason="the public test vectors are not beside the repository")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
# Newer than the description.
NEWER = {"/v2/billing/pending-charges"}


def answered(name: str) -> dict[str, Any]:
    told = json.loads((VECTORS / "responses" / f"{name}.json").read_text(encoding="utf-8"), parse_float=Decimal)
    return dict(told["body"])


def openapi() -> dict[str, Any]:
    return dict(json.loads((VECTORS / "openapi.json").read_text(encoding="utf-8"), parse_float=Decimal))


def operation(api: dict[str, Any], path: str) -> dict[str, Any]:
    """What the description says of a GET; ids in a path stand for its {variables}."""
    pieces = path.removeprefix("/v2").split("/")
    for pattern, methods in api["paths"].items():
        wanted = pattern.split("/")
        if len(wanted) == len(pieces) and all(w.startswith("{") or w == p for w, p in zip(wanted, pieces, strict=True)):
            return dict(methods["get"])
    raise AssertionError(f"{path} is not described")


def check(api: dict[str, Any], schema: dict[str, Any], value: object, where: str) -> None:
    """Compare a value with its schema, as far as the description goes."""
    if "$ref" in schema:
        schema = api["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    kind = schema.get("type")
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
        "number": (int, Decimal),
    }  # fmt: skip
    if kind in kinds:
        assert isinstance(value, kinds[kind]), f"{where} is {value!r}, which is no {kind}"
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                check(api, inner, value[name], f"{where}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            check(api, schema.get("items", {}), item, f"{where}[{number}]")


@described
def test_every_question_of_ours_is_described_and_every_answer_of_the_sandbox_fits(
    vultr: RestSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths and parameters exist in Vultr's description, and the sandbox answers in its types."""
    api, asked = openapi(), []
    source, bill = inventory(vultr), billing(vultr)
    for port in (source, bill):
        rest = port.connection.rest
        whole = rest._send

        def send(method: str, url: str, parameters: Any, *rest_of: Any, _whole: Any = whole, **more: Any) -> Any:
            reply = _whole(method, url, parameters, *rest_of, **more)
            asked.append((method, url.removeprefix(vultr.url), dict(parameters or {}), reply))
            return reply

        monkeypatch.setattr(rest, "_send", send)
    source.check_access()
    source.prices(source.resources(ACCOUNT))
    for period in (OCTOBER, NOVEMBER):
        list(bill.charges(ACCOUNT, period))
    assert len({path for _, path, _, _ in asked}) > 12
    for method, path, parameters, reply in asked:
        if path in NEWER:
            continue
        told = operation(api, path)
        names = {p.get("name") for p in told.get("parameters", ())}
        # The cursor of a list is described in general, for all lists.
        assert (method, set(parameters) - names - {"cursor"}) == ("GET", set()), path
        if path == "/v2/plans-metal":
            continue  # described as "plans", answered (and shown in the example) as "plans_metal"
        check(api, told["responses"]["200"]["content"]["application/json"]["schema"], reply.body, path)


RECORDED = {
    "instance_list": "instance",
    "block_storage_list": "volume",
    "reserved_ip_list": "address",
    "snapshot_list": "snapshot",
}


@described
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_lists_are_understood(name: str) -> None:
    """Answers of the official Go client's tests become resources."""
    one = next(one for one in LISTS if one.kind == RECORDED[name])
    (item,) = answered(name)[one.key]
    found = _resource(ACCOUNT, one, item, NOW)
    assert found.id == item["id"]
    assert found.name == (item.get("label") or item.get("description"))
    json.dumps(found.attributes)
    wanted = {
        "instance": {"instance_type": "vc2-1c-2gb", "state": "running", "backups": True, "memory_mib": 2048},
        # A date that is no date is unknown, not the first of January.
        "volume": {"attached": False, "gib": 100, "monthly_cost": "10", "created_at": ""},
        "address": {"attached": True, "instance": "123456", "ip": "10.234.22.53"},
        "snapshot": {"gib": 40, "billed_gib": 2},
    }[one.kind]
    assert {key: found.attributes[key] for key in wanted} == wanted
    assert found.tags == ((("my tag", "true"),) if one.kind == "instance" else ())


@described
def test_recorded_bills_are_understood() -> None:
    """An invoice's line with an offset, a pending one of no length, and their sums."""
    (line,) = answered("billing_list_invoice_items")["invoice_items"]
    item = mapping.item_of(line, "1", NOW)
    assert item is not None
    assert (item.month, item.total) == (date(2018, 3, 1), Decimal("2.35"))
    days = list(mapping.spread(item))
    assert (days[0][0], days[-1][0], len(days)) == (date(2018, 3, 18), date(2018, 3, 31), 14)
    assert sum(cost for _, cost, _ in days) == Decimal("2.35")
    assert sum(units for _, _, units in days) == 315
    (line,) = answered("billing_list_pending_charges")["pending_charges"]
    pending = mapping.item_of(line, "", NOW)
    assert pending is not None
    assert list(mapping.spread(pending)) == [(date(2020, 10, 10), Decimal(10), Decimal(720))]
    assert mapping.label_of(pending.description) == "my-loadbalancer"


@described
def test_the_descriptions_example_of_a_month_belongs_to_that_month() -> None:
    """Times without an offset are US Eastern: 31 August 20:00 is the first moment of September."""
    example = openapi()["paths"]["/billing/invoices/{invoice-id}/items"]["get"]["responses"]["200"]["content"][
        "application/json"
    ]["schema"]["x-examples"]["example-1"]["invoice_items"]
    items = [item for line in example if (item := mapping.item_of(line, "1", NOW)) is not None]
    assert {item.month for item in items} == {date(2021, 9, 1)}
    assert [len(list(mapping.spread(item))) for item in items] == [30, 16]
    assert [mapping.service_of(item.product).name for item in items] == ["Load Balancers", "Cloud Compute"]
    assert mapping.label_of(items[1].description) == "my-instance"


def test_what_is_no_amount_is_no_item_and_what_is_new_keeps_its_name() -> None:
    """A product that nobody knows is told as "Other" under its own name; a tax and a credit say what they are."""
    assert mapping.item_of({"total": "2.35"}, "1", NOW) is None
    assert mapping.service_of("Vultr Quantum Teapots") == mapping.Service(
        "Vultr Quantum Teapots", "Other", "Other (Other)", ""
    )
    billed = mapping.Billed(ACCOUNT, OCTOBER, {})
    lines: list[tuple[dict[str, Any], str]] = [
        ({"description": "VAT (19%)", "product": "Tax", "total": Decimal("1.90")}, "Tax"),
        ({"description": "Promotional credit", "product": "Credit", "total": Decimal(-5)}, "Credit"),
    ]
    for told, category in lines:
        item = mapping.item_of(told, "1", datetime(2026, 10, 31, tzinfo=UTC))
        assert item is not None
        (row,) = billed.rows([item])
        assert (row["ChargeCategory"], row["BilledCost"]) == (category, str(told["total"]).rstrip("0"))


def test_a_thing_that_shares_its_name_is_not_mistaken_for_another() -> None:
    """Two disks called "data": the bill says no more than that, so neither is named."""
    one, two = (Resource("Vultr", ACCOUNT, "fra", "volume", str(n), "data", (), {}, "", NOW) for n in range(2))
    assert mapping.by_label([one, two]) == {}
    assert mapping.by_label([one]) == {("volume", "data"): one}


def test_accrual_knows_when_a_thing_began_and_that_a_month_has_a_most() -> None:
    """Hours begun count; after 672 of them a month is paid."""

    def thing(created: str) -> Resource:
        return Resource("Vultr", ACCOUNT, "fra", "instance", "1", "m", (), {"created_at": created}, "", NOW)

    rate = prices.hourly(Decimal(96))
    month = Period(date(2026, 10, 1), date(2026, 11, 1))
    (whole,) = mapping.accrued([(thing("2020-01-01T00:00:00+00:00"), rate)], month, NOW)
    assert whole.units == 672
    assert abs(whole.total - 96) < Decimal("0.0001")
    (late,) = mapping.accrued([(thing("2026-10-31T22:30:00+00:00"), rate)], month, NOW)
    assert late.units == 2
    assert list(mapping.accrued([(thing("2026-11-02T00:00:00+00:00"), rate)], month, NOW)) == []


@pytest.mark.parametrize(
    ("kind", "attributes", "monthly"),
    [
        ("volume", {"monthly_cost": "12.5"}, "12.5"),
        ("volume", {"monthly_cost": None}, None),
        ("address", {}, "3"),
        ("load_balancer", {"nodes": 3}, "30"),
        ("snapshot", {"billed_gib": 240}, "12"),
        ("instance", {"instance_type": "a"}, "10"),
        ("instance", {"instance_type": "a", "backups": True}, "12"),
        ("instance", {"instance_type": "unknown"}, None),
        ("database", {"instance_type": "d"}, None),
    ],
)
def test_list_prices(kind: str, attributes: dict[str, object], monthly: str | None) -> None:
    """What is not on the list has no price, rather than a guessed one."""
    resource = Resource("Vultr", ACCOUNT, "fra", kind, "1", "x", (), attributes, "", NOW)
    price = prices.monthly_price(resource, {"a": Decimal(10)})
    assert price == (None if monthly is None else Decimal(monthly))


def test_moments() -> None:
    """With an offset as they are, without one in US Eastern time, and nothing for what is none."""
    assert moment("2020-10-10T01:56:20+00:00") == datetime(2020, 10, 10, 1, 56, 20, tzinfo=UTC)
    assert moment("2021-08-31 20:00:00") == datetime(2021, 9, 1, tzinfo=UTC)
    assert moment("01-01-1960") is moment(None) is None
