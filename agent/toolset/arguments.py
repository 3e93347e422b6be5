"""Arguments: what each tool takes, checked and forgiving about the forms in which models write it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tools.model.errors import InputError
from tools.model.metric import Metric
from tools.model.period import Period


def _words(value: object) -> object:
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def _filters(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {k: [v] if isinstance(v, str) else v for k, v in value.items()}


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


By = Annotated[list[str], BeforeValidator(_words), Field(max_length=3)]
Where = Annotated[dict[str, list[str]], BeforeValidator(_filters)]
MetricName = Annotated[Metric, BeforeValidator(_lower)]


class Arguments(BaseModel):
    """Base of all arguments: unknown ones are refused, so that nothing asked for is dropped silently."""

    model_config = ConfigDict(extra="forbid", str_max_length=200)


class Span(Arguments):
    """Arguments with a period; `end` is excluded."""

    start: date
    end: Annotated[date, Field(description="excluded")]

    @model_validator(mode="after")
    def _in_order(self) -> Span:
        if self.end <= self.start:
            raise ValueError("end must be after start (end is excluded)")
        return self

    @property
    def period(self) -> Period:
        return Period(self.start, self.end)


class QueryCosts(Span):
    by: By = []
    where: Where = {}
    exclude: Where = {}
    metric: MetricName = Metric.BILLED
    granularity: Annotated[Literal["total", "month", "day"], BeforeValidator(_lower)] = "total"
    limit: Annotated[int, Field(ge=1, le=100)] | None = None
    share: bool = False
    currency: Annotated[str, BeforeValidator(_upper), Field(pattern="^([A-Z]{3})?$", description="ISO 4217")] = ""


class CompareCosts(Span):
    against_start: date
    against_end: date
    where: Where = {}
    exclude: Where = {}
    by: By = []
    metric: MetricName = Metric.BILLED

    @property
    def against(self) -> Period:
        if self.against_end <= self.against_start:
            raise InputError("The period to compare with ends before it starts.")
        return Period(self.against_start, self.against_end)


class ListAnomalies(Span):
    where: Where = {}


class ForecastCosts(Span):
    by: By = []
    where: Where = {}
    exclude: Where = {}
    metric: MetricName = Metric.BILLED
    budget: bool = False


class ListRecommendations(Arguments):
    kind: Literal["spot_migration", "idle", "rightsizing", "storage_class", "cleanup", "commitment"] | None = None
    where: Where = {}
    limit: Annotated[int, Field(ge=1, le=50)] = 10


class ProposeRollout(Arguments):
    recommendation: str = ""
    resource: Annotated[str, Field(description="name, when the recommendation's id is not known")] = ""

    @model_validator(mode="after")
    def _names_something(self) -> ProposeRollout:
        if not (self.recommendation or self.resource):
            raise ValueError("name a recommendation or a resource")
        return self


class RolloutStatus(Arguments):
    rollout: str = ""
    resource: str = ""


class RealisedSavings(Arguments):
    pass


class AllocatedCosts(Span):
    payer: Annotated[str, Field(description="team or cost centre; empty: everybody")] = ""
    dimension: str = ""
    where: Where = {}
    metric: MetricName = Metric.BILLED


class BudgetStatus(Arguments):
    budget: str = ""


class UnitCosts(Span):
    unit: Annotated[str, Field(description="orders, users ...")] = ""
    where: Where = {}
    metric: MetricName = Metric.BILLED
    granularity: Annotated[Literal["total", "month", "day"], BeforeValidator(_lower)] = "total"


class ListValues(Arguments):
    dimension: str


class DataStatus(Arguments):
    pass
