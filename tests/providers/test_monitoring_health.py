"""Service health from Cloud Monitoring and Azure Monitor, as balancers of the sandbox count what its Prometheus counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sandbox.clouds import azure as fake_azure
from sandbox.clouds import gcp as fake_gcp
from sandbox.clouds.balancers import Counted, azure_metric, nothing
from sandbox.clouds.rest import RefusalError, RestCloud
from sandbox.faults import fault_of
from sandbox.pytest_plugin import SandboxPrometheus
from tests.providers.conftest import served
from tools.model.errors import DeniedError, ProviderError, SettingsError, TransientError
from tools.providers import registry
from tools.providers.azure.health import AzureMonitorHealth
from tools.providers.base import HealthSource
from tools.providers.choosing import ChosenHealth
from tools.providers.gcp.health import Balancer, CloudMonitoringHealth
from tools.settings import SERVICE_SOURCES, Settings

GATEWAY = (
    f"/subscriptions/{fake_azure.SUBSCRIPTIONS[0]}/resourceGroups/web/providers/Microsoft.Network/applicationGateways"
)
# Each source with a service, and with one that nobody ever asked anything.
NAMED = {
    "cloud_monitoring_services": ("recommendations=lumen-ml/recommendations", "silent=lumen-ml/silent"),
    "azure_monitor_services": (f"loyalty={GATEWAY}/loyalty", f"silent={GATEWAY}/silent"),
}
TODAY = date(2026, 11, 23)
HOUR, MINUTES = timedelta(hours=1), 10


@dataclass
class Side:
    """One cloud whose balancers count what the sandbox's Prometheus tells, and the product's source that asks it."""

    setting: str
    settings: Settings
    cloud: RestCloud
    prometheus: SandboxPrometheus
    permission: str

    @property
    def service(self) -> str:
        return NAMED[self.setting][0].partition("=")[0]

    @property
    def source(self) -> HealthSource:
        """As the registry makes it; doors that do not wait between tries."""
        found = registry.health(self.settings)
        assert isinstance(found, ChosenHealth)
        own: Any = found.own[self.service]
        doors = own.connection.services.values() if hasattr(own.connection, "services") else [own.connection.rest]
        for door in doors:
            door.sleep = door.pace.sleep = lambda _: None
        return found

    def fails(self, kind: str, times: int | None = None) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": self.permission, "times": times}, rest=True))

    def counted(self, service: str, end: datetime) -> tuple[float, float]:
        """Requests and failures of the whole minutes before `end`, asked of Prometheus past the product."""
        wanted = f'sum by (code) (increase(http_requests_total{{service="{service}"}}[{MINUTES}m]))'
        from tests.sandbox.test_prometheus import ask

        told = ask(self.prometheus, "/api/v1/query", query=wanted, time=end.timestamp())["data"]["result"]
        found = {series["metric"]["code"]: float(series["value"][1]) for series in told}
        return sum(found.values()), found.get("503", 0.0)


@pytest.fixture(scope="module", params=sorted(NAMED))
def made(request: pytest.FixtureRequest, sandbox_prometheus_process: SandboxPrometheus) -> Iterator[Side]:
    """Each cloud in turn."""
    prometheus, counted = sandbox_prometheus_process, Counted(sandbox_prometheus_process.url)
    if request.param == "cloud_monitoring_services":
        google = fake_gcp.build(today=TODAY, months=1)
        google.cloud.counted = counted
        with served(google) as url:
            known = {"gcp_endpoint": url, "gcp_token": fake_gcp.TOKEN, request.param: NAMED[request.param]}
            settings = Settings(_env_file=None, **known)  # type: ignore[arg-type]  # of several kinds
            yield Side(request.param, settings, google, prometheus, "monitoring.timeSeries.list")
        return
    microsoft = fake_azure.build(today=TODAY, months=1)
    microsoft.cloud.counted = counted
    with served(microsoft) as url:
        settings = Settings(
            _env_file=None,
            azure_endpoint=url,
            azure_token=fake_azure.TOKEN,
            azure_subscriptions=fake_azure.SUBSCRIPTIONS,
            azure_monitor_services=NAMED[request.param],
        )
        yield Side(request.param, settings, microsoft, prometheus, "Microsoft.Insights/metrics/read")


@pytest.fixture
def side(made: Side) -> Iterator[Side]:
    """The same, with nothing wrong with it."""
    made.prometheus.control.post("reset")
    yield made
    made.cloud.faults.clear()


def test_it_tells_what_prometheus_tells(side: Side) -> None:
    """One truth: requests and failures of whole minutes are those that the sandbox's Prometheus counted."""
    now = datetime.now(UTC)
    (sample,) = side.source.read(side.service, MINUTES * 60, now).samples
    requests, failed = side.counted(side.service, now.replace(second=0, microsecond=0))
    assert sample.group == "all"
    assert float(sample.requests) == pytest.approx(requests, abs=2 * MINUTES)
    assert float(sample.errors) == pytest.approx(failed, abs=2 * MINUTES)
    assert 0 < sample.errors < sample.requests / 100


def test_harm_set_in_prometheus_shows_in_the_balancer(side: Side) -> None:
    """Every second request fails from now on; an hour from now the last hour shows it."""
    side.prometheus.health(side.service, error_rate=0.5)
    (sample,) = side.source.read(side.service, 3000, datetime.now(UTC) + HOUR).samples
    assert float(sample.errors / sample.requests) == pytest.approx(0.5, abs=0.01)


def test_nothing_measured_is_nothing_known(side: Side) -> None:
    """A balancer nobody asked, and a service that is not measured now, have no sample: never a service that is well."""
    assert side.source.read("silent", 600, datetime.now(UTC)).samples == ()
    side.prometheus.health(side.service, dark=True)
    assert side.source.read(side.service, 600, datetime.now(UTC)).samples == ()


def test_who_may_not_read_is_told_which_permission_is_missing(side: Side) -> None:
    """Denied is an error that names the permission, in doctor too."""
    assert side.source.check() == (
        "Cloud Monitoring for recommendations, silent"
        if "cloud" in side.setting
        else "Azure Monitor for loyalty, silent"
    )
    side.fails("deny")
    for ask in (lambda: side.source.check(), lambda: side.source.read(side.service, 600, datetime.now(UTC))):
        with pytest.raises(DeniedError) as denied:
            ask()
        assert denied.value.permission == side.permission


def test_a_source_that_fails_is_asked_again_and_then_said_to_be_down(side: Side) -> None:
    """Once is survived; a cloud that goes on failing is an error, never an empty reading."""
    side.fails("error", times=1)
    assert side.source.read(side.service, 600, datetime.now(UTC)).samples
    side.fails("error")
    with pytest.raises(TransientError):
        side.source.read(side.service, 600, datetime.now(UTC))


def test_a_service_that_nobody_named_has_no_source(side: Side) -> None:
    """Nothing is guessed: it is told which settings name one."""
    with pytest.raises(ProviderError, match="No metrics source is named for the service search") as told:
        side.source.read("search", 60, datetime.now(UTC))
    assert "OPTIINFRA_AZURE_MONITOR_SERVICES" in told.value.fix


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("cloud_monitoring_services", "web=lumen-web-eu"),
        ("cloud_monitoring_services", "web=lumen-web-eu/Web Map"),
        ("azure_monitor_services", "web=loyalty"),
        ("azure_monitor_services", f"web={GATEWAY.replace('applicationGateways', 'loadBalancers')}/web"),
        ("cloudwatch_services", "web"),
        ("cloud_monitoring_services", "=lumen-web-eu/web"),
    ],
)
def test_what_is_no_balancer_is_refused_with_how_to_write_it(setting: str, wrong: str) -> None:
    """Told when the settings are read, not when a rollout waits for health."""
    known: dict[str, Any] = {"azure_subscriptions": ("a",), "azure_token": "t", setting: (wrong,)}
    with pytest.raises(SettingsError, match=r"is not the|names the service"):
        registry.health(Settings(_env_file=None, **known))


def test_two_sources_of_one_service_are_refused() -> None:
    """Which of them should be believed is not guessed."""
    settings = Settings(
        _env_file=None,
        azure_subscriptions=("a",),
        azure_token="t",
        cloud_monitoring_services=("web=lumen-web-eu/web",),
        azure_monitor_services=(f"web={GATEWAY}/web",),
    )
    with pytest.raises(SettingsError, match="web, whose health another source tells"):
        registry.health(settings)


def test_settings_know_whose_health_is_told() -> None:
    """Prometheus tells of all; the others of the services that they name."""
    assert not Settings(_env_file=None).health_told("web")
    assert Settings(_env_file=None, prometheus_url="http://127.0.0.1:9").health_told("web")
    for name in SERVICE_SOURCES:
        settings = Settings(_env_file=None, **{name: ("web = somewhere",)})  # type: ignore[arg-type]  # one of three
        assert settings.health_told("web")
        assert not settings.health_told("search")
    assert set(registry.SERVICE_HEALTH) == set(SERVICE_SOURCES)


class Told:
    """A cloud that answers this, whatever it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.rest = answer, self

    def listing(self, *_: Any, **__: Any) -> Any:
        return [self.answer]

    def get(self, *_: Any, **__: Any) -> Any:
        return {"value": [self.answer]}


def google(label: str, value: dict[str, object]) -> dict[str, Any]:
    return {"metric": {"labels": {label: "500"}}, "points": [{"value": value}]}


def microsoft(name: str, **more: object) -> dict[str, Any]:
    pair = {"name": {"value": name}, "value": "5xx"}
    return {"timeseries": [{"metadatavalues": [pair], "data": [{"total": 4}, {}]}], **more}


@pytest.mark.parametrize(
    "answer",
    [
        google("response_code", {"int64Value": "4"}),
        google("response_code_class", {"int64Value": "many"}),
        google("response_code_class", {"int64Value": "-4"}),
        google("response_code_class", {}),
        microsoft("backendpool"),
        microsoft("httpstatusgroup", errorCode="ServiceUnavailable"),
    ],
)
def test_an_answer_that_is_not_as_described_is_no_reading(answer: dict[str, Any]) -> None:
    """A request of no class, a number that is none, half an answer: an error, never few failures."""
    told: Any = Told(answer)
    source: HealthSource
    if "points" in answer:
        source = CloudMonitoringHealth(told, {"web": Balancer("lumen-web-eu", "web")})
    else:
        source = AzureMonitorHealth(told, {"web": f"{GATEWAY}/web"})
    with pytest.raises(ProviderError):
        source.read("web", 600, datetime.now(UTC))


def test_a_minute_that_is_not_known_yet_is_not_counted() -> None:
    """Azure tells the newest minute without a total; the class is compared whatever its case."""
    source = AzureMonitorHealth(Told(microsoft("HttpStatusGroup")), {"web": f"{GATEWAY}/web"})  # type: ignore[arg-type]
    (sample,) = source.read("web", 600, datetime.now(UTC)).samples
    assert (int(sample.requests), int(sample.errors)) == (4, 4)


def test_without_prometheus_the_balancers_of_the_sandbox_counted_nothing() -> None:
    """Its Prometheus may be gone, and a span may be none."""
    moment = datetime.now(UTC)
    assert nothing("web", moment, moment) == []
    assert Counted("http://127.0.0.1:9")("web", moment - HOUR, moment) == []
    with pytest.raises(RefusalError):
        azure_metric(nothing, "gateway", "today")
