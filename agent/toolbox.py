"""Toolbox: every tool once - name, description, arguments, function - with its schema for models and one way to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.toolset import allocated, arguments, budgets, changes, costs, data, findings, realised, savings, units
from agent.toolset.desk import Desk
from tools.model.errors import InputError
from tools.model.fact import Fact, ToolResult


class ArgumentsError(InputError):
    """A tool was called with arguments that it does not take."""

    code = "arguments"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool. `proposes` marks the only kind that writes anything: a proposal that people must approve."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Any, Desk], ToolResult]
    proposes: bool = False


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "query_costs",
        "Cost of a period: total, by dimensions (provider, service_name, service_category, sub_account_id, region_id, "
        "charge_category, pricing_category, tag:KEY) or per day/month. where/exclude: {dimension: [values]}; value '' means none.",
        arguments.QueryCosts,
        costs.query_costs,
    ),
    ToolSpec(
        "compare_costs",
        "Why cost changed between two periods: change and its drivers.",
        arguments.CompareCosts,
        changes.compare_costs,
    ),
    ToolSpec("list_anomalies", "Unusual costs in a period.", arguments.ListAnomalies, findings.list_anomalies),
    ToolSpec(
        "forecast_costs",
        "What a running or coming period will cost, with a band; budget=true compares with the budget.",
        arguments.ForecastCosts,
        findings.forecast_costs,
    ),
    ToolSpec(
        "list_recommendations",
        "Known savings, largest first.",
        arguments.ListRecommendations,
        savings.list_recommendations,
    ),
    ToolSpec(
        "propose_rollout",
        "Propose a staged change that people must approve. Only when the person asked for it in so many words.",
        arguments.ProposeRollout,
        savings.propose_rollout,
        proposes=True,
    ),
    ToolSpec("rollout_status", "How one or all rollouts stand.", arguments.RolloutStatus, savings.rollout_status),
    ToolSpec(
        "realised_savings",
        "What finished rollouts really saved, from bills.",
        arguments.RealisedSavings,
        realised.realised_savings,
    ),
    ToolSpec(
        "allocated_costs",
        "Who pays by the allocation rules: own cost, part of shared cost, total; one payer or all (chargeback).",
        arguments.AllocatedCosts,
        allocated.allocated_costs,
    ),
    ToolSpec("budget_status", "How the budgets stand.", arguments.BudgetStatus, budgets.budget_status),
    ToolSpec(
        "unit_costs",
        "Cost per unit of a metric of one's own (cost per order).",
        arguments.UnitCosts,
        units.unit_costs,
    ),
    ToolSpec("list_values", "Known values of a dimension.", arguments.ListValues, data.list_values),
    ToolSpec("data_status", "Freshness and coverage of the data.", arguments.DataStatus, data.data_status),
)
_BY_NAME = {spec.name: spec for spec in TOOLS}


def spec(name: str) -> ToolSpec:
    """The tool of that name; raises ArgumentsError naming those that exist."""
    if name not in _BY_NAME:
        raise ArgumentsError(f'There is no tool "{name}".', fix="Use one of: " + ", ".join(_BY_NAME) + ".")
    return _BY_NAME[name]


def run(name: str, args: Mapping[str, object], desk: Desk, *, first_fact: int = 1) -> ToolResult:
    """Check the arguments and run the tool; facts are numbered from `first_fact` on.

    Raises ArgumentsError (unusable arguments, in words that a model can act on) and whatever the tool refuses.
    """
    tool = spec(name)
    try:
        checked = tool.arguments.model_validate(dict(args))
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or 'arguments'}: {e['msg']}" for e in error.errors()]
        raise ArgumentsError(f"{name} cannot use these arguments: " + "; ".join(problems[:4]) + ".") from None
    result = tool.run(checked, desk)
    return replace(result, facts=_numbered(result.facts, first_fact))


def _numbered(facts: tuple[Fact, ...], first: int) -> tuple[Fact, ...]:
    return tuple(replace(fact, id=f"F{n}") for n, fact in enumerate(facts, first))


def schemas() -> list[dict[str, Any]]:
    """All tools as function schemas, without the titles that only cost tokens."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": _lean(tool.arguments.model_json_schema()),
            },
        }
        for tool in TOOLS
    ]


def _lean(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {k: _lean(v) for k, v in node.items() if not (k == "title" and isinstance(v, str)) and k != "default"}
        for noise in ("maxLength", "description" if node.get("type") == "object" else ""):
            kept.pop(noise, None)
        return kept
    return [_lean(item) for item in node] if isinstance(node, list) else node
