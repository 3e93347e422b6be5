"""moto, started lightly and taught what it gets wrong about the parts of AWS that the story needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.inventory import REGION, SPOT, ZONES, spot_price
from sandbox.organisation import AWS_PRODUCTION

if TYPE_CHECKING:
    from sandbox.clouds.aws_groups import GroupKeeper

# moto checks types against us-east-1 when a request names no region.
_REGIONS = (REGION, "us-east-1")


def load() -> Any:
    """Import what is needed of moto; return its WSGI application. Call once, first of all in the process."""
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
    import moto.utilities.utils as resources

    original = resources.load_resource
    # Where which type is offered fills 100 MB for 30 regions; the organisation lives in one.
    _put(resources, load_resource=lambda name: [] if _elsewhere(name) else original(name))
    try:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    finally:
        _put(resources, load_resource=original)
    return DomainDispatcherApplication(create_backend_app)


def _elsewhere(name: str) -> bool:
    return "instance_type_offerings" in name and not any(f"/{region}." in name for region in _REGIONS)


def account_of(access_key: str) -> str:
    """Whose keys these are: those of an assumed role belong to its account, all others to production."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.iam.models import get_account_id_from

    account = get_account_id_from(access_key)
    return AWS_PRODUCTION if account == DEFAULT_ACCOUNT_ID else account


def autoscaling() -> list[Any]:
    """The Auto Scaling memory of every account and region that was used."""
    from moto.autoscaling.models import autoscaling_backends

    return [backend for regions in list(autoscaling_backends.values()) for backend in list(regions.values())]


def forget() -> None:
    """Empty the memory of all services the sandbox seeds."""
    from moto.autoscaling.models import autoscaling_backends
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.ec2.models import ec2_backends
    from moto.s3.models import s3_backends
    from moto.sts.models import sts_backends

    services: tuple[Any, ...] = (ec2_backends, autoscaling_backends, cloudwatch_backends, s3_backends, sts_backends)
    for service in services:
        for regions in list(service.values()):
            regions.reset()


def teach(keeper: GroupKeeper, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Put AWS's behaviour where moto has none: policies merge, groups act by themselves, spot has a price."""
    _teach_groups(keeper)
    _teach_prices(now)
    _teach_metrics()


def _teach_groups(keeper: GroupKeeper) -> None:
    from moto.autoscaling.exceptions import ValidationError
    from moto.autoscaling.models import FakeAutoScalingGroup
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import ActionResult

    plain_update: Any = FakeAutoScalingGroup.update

    def update(group: Any, *args: Any, mixed_instances_policy: Any = None, **kwargs: Any) -> None:
        # A group that is given a launch template of its own has no policy any more.
        kept = None if kwargs.get("launch_template") else group.mixed_instances_policy
        merged = merge_policy(kept, mixed_instances_policy)
        problem = policy_problem(merged)
        if problem:
            raise ValidationError(problem)
        plain_update(group, *args, mixed_instances_policy=merged, **kwargs)

    def set_desired_capacity(group: Any, new_capacity: int | None) -> None:
        # moto launches and ends instances on the spot, and all of them on demand; the keeper does it in time.
        group.desired_capacity = group.min_size if new_capacity is None else int(new_capacity)

    def describe_scaling_activities(response: Any) -> Any:
        name = response._get_param("AutoScalingGroupName")
        names = [name] if name else list(keeper.activities)
        limit = response._get_int_param("MaxRecords", 100)
        found = [activity for known in names for activity in keeper.activities.get(known, [])]
        return ActionResult({"Activities": found[:limit]})

    _put(FakeAutoScalingGroup, update=update, set_desired_capacity=set_desired_capacity)
    _put(AutoScalingResponse, describe_scaling_activities=describe_scaling_activities)


def merge_policy(present: dict[str, Any] | None, asked: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a group's mixed instances policy is after an update: parts that are not named stay as they are."""
    if not present:
        return asked
    known = present.get("LaunchTemplate") or {}
    # The stored policy names its template twice, which a request must not.
    template = {k: v for k, v in (known.get("LaunchTemplateSpecification") or {}).items() if k != "LaunchTemplateName"}
    asked = asked or {}
    return {
        "LaunchTemplate": known | {"LaunchTemplateSpecification": template} | (asked.get("LaunchTemplate") or {}),
        "InstancesDistribution": (present.get("InstancesDistribution") or {})
        | (asked.get("InstancesDistribution") or {}),
    }


def policy_problem(policy: dict[str, Any] | None) -> str:
    """What AWS would say against a policy, or nothing."""
    distribution = (policy or {}).get("InstancesDistribution") or {}
    percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    if not 0 <= percent <= 100:
        return f"OnDemandPercentageAboveBaseCapacity must be between 0 and 100, not {percent}."
    if int(distribution.get("OnDemandBaseCapacity", 0)) < 0:
        return "OnDemandBaseCapacity must not be negative."
    return ""


def _teach_prices(now: Callable[[], datetime]) -> None:
    from moto.core.responses import ActionResult
    from moto.ec2.responses.spot_instances import SpotInstances

    def describe_spot_price_history(response: Any) -> Any:
        types = response._get_param("InstanceTypes", []) or list(SPOT)
        filters = response._filters_from_querystring()
        types = [t for t in types if t in filters.get("instance-type", types)]
        zone = response._get_param("AvailabilityZone")
        zones = [zone] if zone else filters.get("availability-zone", list(ZONES))
        history = [
            {
                "InstanceType": kind,
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": str(spot_price(kind, place)),
                "AvailabilityZone": place,
                "Timestamp": now(),
            }
            for kind in types
            for place in zones
            if kind in SPOT and place in ZONES
        ]
        return ActionResult({"SpotPriceHistory": history})

    _put(SpotInstances, describe_spot_price_history=describe_spot_price_history)


def _teach_metrics() -> None:
    """moto looks through everything it has for every period of every series, which takes seconds here."""
    from moto.cloudwatch.models import CloudWatchBackend

    def get_metric_data(
        backend: Any, queries: list[Any], start_time: datetime, end_time: datetime, scan_by: str = ""
    ) -> list[dict[str, Any]]:
        known: dict[tuple[object, ...], list[Any]] = {}
        for point in backend.metric_data:
            if start_time <= point.timestamp < end_time:
                dimensions = frozenset((d.name, d.value) for d in point.dimensions)
                known.setdefault((point.namespace, point.name, dimensions), []).append(point)
        return [series(query, known, start_time, newest_first=scan_by == "TimestampDescending") for query in queries]

    _put(CloudWatchBackend, get_metric_data=get_metric_data)


_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": sum,
}


def series(
    query: Any, known: dict[tuple[object, ...], list[Any]], start: datetime, *, newest_first: bool
) -> dict[str, Any]:
    """One query's answer: a value per period that has points. Raises KeyError for a statistic that is not known."""
    asked = query["MetricStat"]
    metric, seconds = asked["Metric"], int(asked["Period"])
    dimensions = frozenset((d["Name"], d["Value"]) for d in metric.get("Dimensions", ()))
    periods: dict[int, list[float]] = {}
    for point in known.get((metric["Namespace"], metric["MetricName"], dimensions), ()):
        periods.setdefault(int((point.timestamp - start).total_seconds()) // seconds, []).append(float(point.value))
    ordered = sorted(periods, reverse=newest_first)
    return {
        "id": query["Id"],
        "label": query.get("Label") or metric["MetricName"],
        "values": [_STATISTICS[asked["Stat"]](periods[n]) for n in ordered],
        "timestamps": [start + timedelta(seconds=n * seconds) for n in ordered],
        "status_code": "Complete",
    }


def _put(owner: Any, **functions: Callable[..., Any]) -> None:
    """Put functions in the place of moto's own."""
    for name, function in functions.items():
        setattr(owner, name, function)
