"""Health: requests and failures of a service as its load balancer counts them, asked of CloudWatch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tools.model.errors import SettingsError
from tools.providers.aws.connection import Connection
from tools.providers.aws.metrics import Wanted
from tools.providers.aws.refusals import our_words
from tools.providers.base import HealthReading, Sample
from tools.providers.choosing import named, of_service
from tools.settings import Settings

SETTING = "OPTIINFRA_CLOUDWATCH_SERVICES"
NAMESPACE = "AWS/ApplicationELB"
# What reached a target, what targets answered badly, and what the balancer itself could not get answered.
REQUESTS, FAILED, UNREACHED = "RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"
PERIOD_SECONDS = 60
GROUP = "all"
_ARN = re.compile(r"arn:aws[\w-]*:elasticloadbalancing:([\w-]+):(\d{12}):loadbalancer/(app/[\w-]+/[0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Balancer:
    """An Application Load Balancer: where it is, and the name by which CloudWatch knows it ("app/NAME/ID")."""

    account_id: str
    region: str
    name: str

    @classmethod
    def of(cls, arn: str) -> Balancer:
        """From its ARN; raises SettingsError for anything else."""
        found = _ARN.fullmatch(arn)
        if found is None:
            raise SettingsError(
                f"{arn or 'Nothing'} is not the ARN of an Application Load Balancer.",
                fix=f"Write {SETTING} as SERVICE=ARN, separated by commas.",
            )
        return cls(found[2], found[1], found[3])


@dataclass(frozen=True, slots=True)
class CloudWatchHealth:
    """The HealthSource of services behind Application Load Balancers; a balancer does not tell spot from on-demand."""

    connection: Connection
    balancers: dict[str, Balancer] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> CloudWatchHealth:
        """The services and their balancers as OPTIINFRA_CLOUDWATCH_SERVICES names them; raises SettingsError."""
        from tools.providers.aws import flat

        return cls(flat.connection(settings), named(settings.cloudwatch_services, SETTING, Balancer.of))

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """Requests and failures in the whole minutes of the window before `now`.

        A minute without requests has no point, and failures have points only where there were some. No requests
        at all, or an answer that is not whole, is no sample.
        """
        end = now.replace(second=0, microsecond=0)
        minutes = max(1, -(-window_seconds // PERIOD_SECONDS))
        told = self._sums(of_service(self.balancers, service, SETTING), end - timedelta(minutes=minutes), end)
        samples: tuple[Sample, ...] = ()
        if told is not None and REQUESTS in told:
            # What found no target is not among the requests that found one.
            unreached = told.get(UNREACHED, Decimal(0))
            requests = told[REQUESTS] + unreached
            failed = min(told.get(FAILED, Decimal(0)) + unreached, requests)
            samples = (Sample(GROUP, requests, failed),)
        return HealthReading(now, window_seconds, samples)

    def check(self) -> str:
        """Which balancers' metrics may be read."""
        for balancer in self.balancers.values():
            client = self._client(balancer)
            with our_words("reading metrics"):
                client.list_metrics(Namespace=NAMESPACE, MetricName=REQUESTS)
        return f"CloudWatch for {', '.join(sorted(self.balancers))}"

    def _client(self, balancer: Balancer) -> Any:
        account = balancer.account_id if self.connection.accounts else ""
        return self.connection.client("cloudwatch", account, balancer.region)

    def _sums(self, balancer: Balancer, start: datetime, end: datetime) -> dict[str, Decimal] | None:
        """Metric -> its sum, without those that have no points; None when CloudWatch did not tell all of it."""
        dimensions = (("LoadBalancer", balancer.name),)
        names = (REQUESTS, FAILED, UNREACHED)
        queries = [
            Wanted(NAMESPACE, name, dimensions, "Sum", PERIOD_SECONDS).query(f"q{number}")
            for number, name in enumerate(names)
        ]
        found: dict[str, Decimal] = {}
        with our_words("reading how a service does"):
            pages = self._client(balancer).get_paginator("get_metric_data")
            for page in pages.paginate(MetricDataQueries=queries, StartTime=start, EndTime=end):
                if page.get("Messages"):
                    return None
                for result in page["MetricDataResults"]:
                    if result.get("StatusCode") in {"InternalError", "Forbidden"}:
                        return None
                    name, values = names[int(result["Id"][1:])], result["Values"]
                    if values:
                        found[name] = found.get(name, Decimal(0)) + sum((Decimal(str(v)) for v in values), Decimal(0))
        return found
