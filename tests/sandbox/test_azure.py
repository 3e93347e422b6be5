"""The sandbox's Azure as a caller sees it: queries about the story's cost, small pages, refusals in Azure's words."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.clouds.azure import CLIENT, COSTS, SECRET, TENANT, TOKEN
from sandbox.organisation import AZURE_CORPORATE, AZURE_PRODUCTION
from tests.providers.conftest import RestSide

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def query(side: RestSide, subscription: str = AZURE_PRODUCTION, **changes: Any) -> requests.Response:
    body: dict[str, Any] = {
        "type": "ActualCost",
        "timeframe": "Custom",
        "timePeriod": {"from": "2026-10-01T00:00:00Z", "to": "2026-10-31T23:59:59Z"},
        "dataset": {
            "granularity": "Daily",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "Dimension", "name": "ServiceName"}],
        },
    }
    for name, value in changes.items():
        if name in body["dataset"]:
            body["dataset"][name] = value
        else:
            body[name] = value
    path = f"/subscriptions/{subscription}/providers/Microsoft.CostManagement/query?api-version=2025-03-01"
    return requests.post(side.url + path, json=body, headers=HEADERS, timeout=10)


def test_a_query_answers_by_named_columns_and_pages(azure: RestSide) -> None:
    """The next page has an older version in its address and is asked for with the same body."""
    groups = [{"type": "Dimension", "name": name} for name in ("ResourceId", "Meter")]
    first = query(azure, grouping=groups).json()["properties"]
    assert [column["name"] for column in first["columns"]] == ["Cost", "UsageDate", "ResourceId", "Meter", "Currency"]
    assert len(first["rows"]) == 250
    assert "api-version=2021-10-01" in first["nextLink"]
    assert isinstance(first["rows"][0][1], int)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "Forecast"},
        {"timeframe": "MonthToDate"},
        {"granularity": "Hourly"},
        {"grouping": [{"type": "Dimension", "name": "ConsumedService"}]},
        {"grouping": [{"type": "Dimension", "name": "Meter"}] * 16},
        {"aggregation": {}},
        {"timePeriod": {"from": "2026-10-01"}},
        {"timePeriod": None},
        {"timePeriod": {"from": "2026-01-01T00:00:00Z", "to": "2026-03-31T23:59:59Z"}},
        {"dataset": None},
    ],
)
def test_queries_that_make_no_sense_are_refused(azure: RestSide, changes: dict[str, Any]) -> None:
    """As the real one does, so that a wrong query of ours is noticed here."""
    refused = query(azure, **changes)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "BadRequest"


def test_refusals_look_like_azures(azure: RestSide) -> None:
    """No token, no version, no such subscription, a broken body, a wrong span."""
    place = f"{azure.url}/subscriptions/{AZURE_CORPORATE}"
    assert requests.get(place, timeout=10).json()["error"]["code"] == "InvalidAuthenticationToken"
    assert requests.get(place, headers=HEADERS, timeout=10).json()["error"]["code"] == "MissingApiVersionParameter"
    assert query(azure, subscription="nobody").json()["error"]["code"] == "SubscriptionNotFound"
    path = f"{place}/providers/Microsoft.CostManagement/query?api-version=2025-03-01"
    assert requests.post(path, data="{", headers=HEADERS, timeout=10).status_code == 400
    metrics = f"{place}/x/providers/Microsoft.Insights/metrics?api-version=2018-01-01&timespan=ever"
    assert requests.get(metrics, headers=HEADERS, timeout=10).status_code == 200
    wrong = metrics.replace("/x/", "/virtualMachines/erp-1/")
    assert requests.get(wrong, headers=HEADERS, timeout=10).status_code == 400
    assert requests.get(f"{azure.url}/teapots", headers=HEADERS, timeout=10).status_code == 404


def test_a_token_is_given_to_the_application_only(azure: RestSide) -> None:
    """Client credentials in a form, as Microsoft Entra takes them."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    url = f"{azure.url}/{TENANT}/oauth2/v2.0/token"
    assert requests.post(url, data=form, timeout=10).json()["access_token"] == TOKEN
    assert requests.post(url, data=form | {"client_secret": "x"}, timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttle", 429, "429"),
        ("error", 500, "InternalServerError"),
        ("deny", 403, "RBACAccessDenied"),
        ("expired", 401, "ExpiredAuthenticationToken"),
        ("absent", 404, "ResourceNotFound"),
    ],
)
def test_faults_speak_azures_words(azure: RestSide, kind: str, status: int, code: str) -> None:
    """Cost Management forbids without naming the action."""
    azure.fails(kind, COSTS, times=1)
    refused = query(azure)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert query(azure).status_code == 200


def test_a_line_can_be_cut_and_an_answer_broken(azure: RestSide) -> None:
    """The caller sees a broken connection, or half a document."""
    azure.fails("cut", COSTS, times=1)
    with pytest.raises(requests.RequestException):
        query(azure)
    azure.fails("broken_answer", COSTS, times=1)
    broken = query(azure)
    with pytest.raises(ValueError, match=r"(?i)json|delimiter|unterminated|expecting"):
        broken.json()
