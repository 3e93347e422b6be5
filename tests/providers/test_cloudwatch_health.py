"""Service health from CloudWatch, as a load balancer of the sandbox's AWS counts it; what is not told is no sample."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest

from sandbox.pytest_plugin import SandboxAws
from tools.model.errors import DeniedError, ProviderError, SettingsError
from tools.providers import registry
from tools.providers.aws.health import FAILED, NAMESPACE, REQUESTS, UNREACHED, Balancer
from tools.providers.base import HealthReading, HealthSource, Sample
from tools.providers.choosing import ChosenHealth
from tools.settings import Settings

ACCOUNT, REGION = "210000000002", "eu-west-1"
ARN = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/checkout/50dc6c495c0c9188"
NOW = datetime.now(UTC).replace(second=30, microsecond=0)


def settings(url: str, *services: str, **more: Any) -> Settings:
    return Settings(_env_file=None, aws_endpoint_url=url, aws_regions=(REGION,), cloudwatch_services=services, **more)  # type: ignore[call-arg]


@pytest.fixture
def cloud(sandbox_aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client past the product, which puts there what a balancer would have counted."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    client = boto3.client("cloudwatch", region_name=REGION, endpoint_url=sandbox_aws.url)
    yield client
    client.close()


def count(client: Any, name: str, metric: str, minutes_ago: int, value: float) -> None:
    point = {
        "MetricName": metric,
        "Dimensions": [{"Name": "LoadBalancer", "Value": name}],
        "Timestamp": NOW.replace(second=0) - timedelta(minutes=minutes_ago),
        "Value": value,
    }
    client.put_metric_data(Namespace=NAMESPACE, MetricData=[point])


def test_requests_and_failures_of_whole_minutes(cloud: Any, sandbox_aws: SandboxAws) -> None:
    """Ten minutes of requests; targets that fail and targets that cannot be reached both count, what is older does not."""
    for minute in range(1, 15):
        count(cloud, "app/checkout/50dc6c495c0c9188", REQUESTS, minute, 600)
    count(cloud, "app/checkout/50dc6c495c0c9188", FAILED, 3, 12)
    count(cloud, "app/checkout/50dc6c495c0c9188", UNREACHED, 2, 5)
    count(cloud, "app/checkout/50dc6c495c0c9188", FAILED, 13, 500)
    source = registry.health(settings(sandbox_aws.url, f"checkout={ARN}"))
    assert source is not None
    assert source.read("checkout", 600, NOW).samples == (Sample("all", Decimal(6005), Decimal(17)),)
    assert source.check() == "CloudWatch for checkout"


def test_no_requests_told_is_nothing_known(cloud: Any, sandbox_aws: SandboxAws) -> None:
    """A balancer without points - or with failures only - has no sample: never a service that is well."""
    other = ARN.replace("checkout", "silent")
    count(cloud, "app/silent/50dc6c495c0c9188", FAILED, 2, 3)
    source = registry.health(settings(sandbox_aws.url, f"silent={other}"))
    assert source is not None
    assert source.read("silent", 120, NOW).samples == ()


def test_who_may_not_read_is_told_which_permission_is_missing(cloud: Any, sandbox_aws: SandboxAws) -> None:
    """Denied is an error that names the permission, not an empty reading."""
    source = registry.health(settings(sandbox_aws.url, f"checkout={ARN}"))
    assert source is not None
    sandbox_aws.control.post("fault", kind="deny", action="GetMetricData", seconds=0)
    try:
        with pytest.raises(DeniedError) as denied:
            source.read("checkout", 120, NOW)
    finally:
        sandbox_aws.control.delete("fault")
    assert denied.value.permission == "cloudwatch:GetMetricData"


class Told:
    """A source that tells who was asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        return HealthReading(now, window_seconds, (Sample(self.name, Decimal(1), Decimal(0)),))

    def check(self) -> str:
        return self.name


def test_each_service_is_asked_of_its_own_source() -> None:
    """One service has a source of its own, all others the common one; without any nobody guesses."""
    own: HealthSource = Told("cloudwatch")
    both = ChosenHealth({"checkout": own}, Told("prometheus"))
    assert both.read("checkout", 60, NOW).samples[0].group == "cloudwatch"
    assert both.read("search", 60, NOW).samples[0].group == "prometheus"
    assert both.check() == "cloudwatch; prometheus"
    with pytest.raises(ProviderError, match="No metrics source is named for the service search"):
        ChosenHealth({"checkout": own}).read("search", 60, NOW)


@pytest.mark.parametrize("arn", ["", "checkout", ARN.replace("loadbalancer/app", "loadbalancer/net")])
def test_what_is_no_application_load_balancer(arn: str) -> None:
    """Told when the settings are read, with how to write it."""
    with pytest.raises(SettingsError, match="Application Load Balancer"):
        Balancer.of(arn)


def test_settings_choose() -> None:
    """Nothing set: no source. Prometheus only: that. Both: by service."""
    assert registry.health(settings("")) is None
    both = registry.health(settings("http://127.0.0.1:9", f"checkout={ARN}", prometheus_url="http://127.0.0.1:9"))
    assert isinstance(both, ChosenHealth)
    assert set(both.own) == {"checkout"}
    assert both.other is not None
