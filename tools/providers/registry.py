"""Registry: from settings to the flats that are configured, each loaded on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from tools.model.errors import InputError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers import catalog
from tools.providers.base import Billing, Change, HealthSource, Inventory, PaidRequests
from tools.settings import Settings

if TYPE_CHECKING:
    from tools.providers.reviewer import WebhookReviewer

Now = Callable[[], datetime]
# The folder of each cloud, and the settings of which one at least connects it.
FLATS = {
    "aws": ("aws_regions", "aws_cost_explorer_accounts", "aws_billing_table"),
    "gcp": ("gcp_projects", "gcp_billing_table"),
    "azure": ("azure_subscriptions",),
    "vultr": ("vultr_api_key",),
}
# Who asks about the services that each of these settings names.
SERVICE_HEALTH = {
    "cloudwatch_services": "aws.health:CloudWatchHealth",
    "cloud_monitoring_services": "gcp.health:CloudMonitoringHealth",
    "azure_monitor_services": "azure.health:AzureMonitorHealth",
}


class Flat(Protocol):
    """The module `flat` of a cloud's folder: its rooms, put together from the settings."""

    def inventories(self, settings: Settings, now: Now) -> tuple[Inventory, ...]: ...

    def billings(self, settings: Settings, now: Now, paid: PaidRequests | None) -> tuple[Billing, ...]: ...

    def connected(self, settings: Settings) -> object:
        """The connection through which things are changed. Raises SettingsError when there is none."""
        ...


def change(settings: Settings, plan_or_name: Plan | str, *, now: Now | None = None) -> Change:
    """The executable change that a plan (or a name like "aws.volume_type:gp3") means.

    Raises InputError for an unknown one, SettingsError when its cloud is not connected.
    """
    wanted = plan_or_name if isinstance(plan_or_name, str) else plan_or_name.change
    about = _known(wanted)
    # "tools.providers.aws.changes.spot:AsgSpot" is in the flat "aws".
    flat = _flat(about.code.split(".")[2])
    return _made(about, wanted, flat.connected(settings), now or _utc_now)


def obstacles(name: str, resource: Resource) -> tuple[str, ...]:
    """Every reason why an executable change cannot be made to a resource as inventory saw it; empty when it can."""
    if catalog.about(name) is None:
        return (f'there is no executable change "{name}".',)
    if catalog.split(name)[0] == "aws.asg_spot":
        from tools.providers.aws.changes.spot import obstacles as of_group

        return of_group(resource)
    try:
        # Planning asks no cloud, so none is needed.
        _made(_known(name), name, None, _utc_now).plan(resource, (100,))
    except InputError as error:
        return (error.what,)
    return ()


def _known(wanted: str) -> catalog.About:
    about = catalog.about(wanted)
    if about is None:
        raise InputError(
            f'There is no executable change "{wanted}".',
            fix=f"Executable are: {', '.join(sorted(catalog.BY_NAME))}.",
        )
    return about


def _made(about: catalog.About, wanted: str, connection: object, now: Now) -> Change:
    module, _, name = about.code.partition(":")
    argument = catalog.split(wanted)[1]
    if argument and not about.example:
        raise InputError(f"{about.name} takes nothing after its name.", fix=f"Write {about.name}.")
    made: Change = getattr(import_module(module), name)(connection, now, **({"argument": argument} if argument else {}))
    return made


def inventories(settings: Settings, *, now: Now | None = None) -> tuple[Inventory, ...]:
    """The inventory of every cloud that is configured."""
    moment = now or _utc_now
    return tuple(found for flat in _configured(settings) for found in flat.inventories(settings, moment))


def billings(settings: Settings, *, now: Now | None = None, paid: PaidRequests | None = None) -> tuple[Billing, ...]:
    """The billing API of every configured cloud that is read through one; make them anew for each collection.

    `paid` remembers the requests that cost money; a cloud whose requests do cannot be asked without it.
    """
    moment = now or _utc_now
    return tuple(found for flat in _configured(settings) for found in flat.billings(settings, moment, paid))


def _configured(settings: Settings) -> Iterator[Flat]:
    for name, wanted in FLATS.items():
        if any(getattr(settings, setting) for setting in wanted):
            yield _flat(name)


def _flat(name: str) -> Flat:
    flat: Flat = import_module(f"tools.providers.{name}.flat")
    return flat


def health(settings: Settings) -> HealthSource | None:
    """The source of service health, or None when there is none: then no rollout may start."""
    other: HealthSource | None = None
    if settings.prometheus_url:
        from tools.providers.prometheus.health import PrometheusHealth

        other = PrometheusHealth(
            settings.prometheus_url, settings.prometheus_requests_query, settings.prometheus_errors_query
        )
    chosen = {name: code for name, code in SERVICE_HEALTH.items() if getattr(settings, name)}
    if not chosen:
        return other
    from tools.providers.choosing import ChosenHealth, one_each

    made = ((name, _source(code).of(settings)) for name, code in chosen.items())
    own = one_each((f"OPTIINFRA_{name.upper()}", source.balancers, source) for name, source in made)
    return ChosenHealth(own, other)


def _source(code: str) -> Any:
    module, _, name = code.partition(":")
    return getattr(import_module(f"tools.providers.{module}"), name)


def reviewer(settings: Settings) -> WebhookReviewer | None:
    """The outside reviewer, or None when there is none; raises SettingsError when it could not be trusted."""
    if not settings.reviewer_url:
        return None
    from tools.providers.reviewer import WebhookReviewer

    secret = settings.reviewer_secret.get_secret_value()
    return WebhookReviewer(settings.reviewer_url, secret, settings.review_seconds)


def _utc_now() -> datetime:
    return datetime.now(UTC)
