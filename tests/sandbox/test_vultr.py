"""The sandbox's Vultr as a caller sees it: the story's cents, small pages, and what goes wrong on request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from sandbox.clouds.bills import in_cents
from sandbox.clouds.rest import RestCloud
from sandbox.clouds.vultr import API_KEY, BILLING
from sandbox.organisation import VULTR_BILLING_ACCOUNT
from tests.providers.conftest import RestSide, served


def get(side: RestSide, path: str, key: str = API_KEY, **parameters: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(side.url + path, params=parameters, headers=headers, timeout=10)  # type: ignore[arg-type]


def control(side: RestSide, method: str, path: str, document: object = None) -> requests.Response:
    return requests.request(method, f"{side.url}/sandbox/{path}", json=document, timeout=10)


def test_an_invoice_is_the_sum_of_its_lines_and_the_storys_month(
    vultr: RestSide,
    short_truth: dict[str, Any],
) -> None:
    """Cents are given to lines so that none is lost to rounding."""
    truth = {t["period"]: Decimal(t["billed_cost"]) for t in short_truth["totals"] if t["provider"] == "vultr"}
    invoices = get(vultr, "/v2/billing/invoices").json()["billing_invoices"]
    assert [invoice["date"][:7] for invoice in invoices] == ["2026-11", "2026-10", "2026-09"]
    items, cursor = [], ""
    while True:
        page = get(vultr, f"/v2/billing/invoices/{invoices[0]['id']}/items", cursor=cursor).json()
        items += page["invoice_items"]
        cursor = page["meta"]["links"]["next"]
        if not cursor:
            break
    assert len(items) == page["meta"]["total"] == 13
    total = sum(Decimal(str(item["total"])) for item in items)
    assert total == Decimal(str(invoices[0]["amount"])) == truth["2026-10"].quantize(Decimal("0.01"))
    assert get(vultr, f"/v2/billing/invoices/{invoices[0]['id']}").json()["billing_invoice"] == invoices[0]


def test_what_is_pending_is_what_the_account_owes(vultr: RestSide) -> None:
    """The open month so far."""
    account = get(vultr, "/v2/account").json()["account"]
    pending = get(vultr, "/v2/billing/pending-charges").json()["pending_charges"]
    assert account["name"] == VULTR_BILLING_ACCOUNT
    assert round(sum(item["total"] for item in pending), 2) == account["pending_charges"]


def test_refusals_look_like_vultrs(vultr: RestSide) -> None:
    """A wrong key, an unknown invoice, a cursor of nobody, and a path that is not there."""
    assert get(vultr, "/v2/account", key="x").json() == {"error": "Invalid API token.", "status": 401}
    assert get(vultr, "/v2/billing/invoices/1").status_code == 404
    assert get(vultr, "/v2/blocks", cursor="????").status_code == 400
    assert get(vultr, "/v2/teapots").status_code == 404
    assert get(vultr, "/v2/plans", key="x").status_code == 200


def test_faults_are_asked_for_and_taken_back(vultr: RestSide) -> None:
    """Over HTTP, as the demo does; an unknown one says what there is."""
    fault = {"kind": "throttle", "action": BILLING, "times": 1, "seconds": 9, "header": "Retry-After"}
    assert control(vultr, "POST", "fault", fault).json()["faults"][0]["kind"] == "throttle"
    refused = get(vultr, "/v2/billing/invoices")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "9")
    assert get(vultr, "/v2/billing/invoices").status_code == 200
    assert control(vultr, "GET", "calls").json()[BILLING] == 2
    assert "broken_answer" in control(vultr, "POST", "fault", {"kind": "storm"}).json()["error"]
    assert control(vultr, "POST", "fault", ["storm"]).status_code == 400
    assert control(vultr, "DELETE", "fault").json() == {"faults": []}
    assert control(vultr, "POST", "reset").json() == {"ok": True}
    assert control(vultr, "GET", "ready").json() == {"ready": True}
    assert control(vultr, "GET", "teapot").status_code == 404


@pytest.mark.parametrize(
    "amounts", [["0.333", "0.333", "0.334"], ["1.005", "-0.005"], [], ["0.004"], ["-1.001", "-2.004"]]
)
def test_cents_are_given_out_without_a_rest(amounts: list[str]) -> None:
    """Rounded one by one they would not add up."""
    exact = [Decimal(text) for text in amounts]
    cents = in_cents(exact)
    assert all(cent == cent.quantize(Decimal("0.01")) for cent in cents)
    assert sum(cents, Decimal(0)) == sum(exact, Decimal(0)).quantize(Decimal("0.01"))
    assert all(abs(cent - value) < Decimal("0.02") for cent, value in zip(cents, exact, strict=True))


def test_clouds_live_side_by_side(vultr: RestSide) -> None:
    """One process, each beneath its own name; the rest of the address is the cloud's own."""
    from sandbox.clouds.rest import Side

    cloud = vultr.cloud
    assert isinstance(cloud, RestCloud)
    with served(Side({"vultr": cloud})) as url:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        assert requests.get(f"{url}/vultr/v2/account", headers=headers, timeout=10).status_code == 200
        assert requests.get(f"{url}/vultr/sandbox/ready", timeout=10).json() == {"ready": True}
        assert requests.get(f"{url}/oracle/x", timeout=10).json() == {"error": "Here are /vultr/ only."}
