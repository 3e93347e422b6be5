"""Naming: what people call things - accounts by their names, where bills know one - for every sentence that tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from tools.model.period import Period
from tools.model.query import TAG, CostQuery, Dimension

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# Names are read from bills this recent: an account that costs nothing any more is called by its number.
RECENT = timedelta(days=21)
ACCOUNT, ACCOUNT_NAME = str(Dimension.SUB_ACCOUNT), str(Dimension.SUB_ACCOUNT_NAME)
_PROVIDER, _SERVICE, _REGION = str(Dimension.PROVIDER), str(Dimension.SERVICE), str(Dimension.REGION)
_RESOURCE = str(Dimension.RESOURCE)
_MARKS = {str(Dimension.CHARGE_CATEGORY), str(Dimension.CHARGE_CLASS)}
Names = Mapping[str, str]
NO_NAMES: Names = {}


def account_names(costs: Costs) -> Names:
    """Account id -> the name that bills give it; of several, that which costs most. Ids without a name are left out."""
    span = costs.span()
    if span is None:
        return NO_NAMES
    recent = Period(max(span.start, span.end - RECENT), span.end)
    table = costs.table(CostQuery(recent, by=(ACCOUNT, ACCOUNT_NAME)))
    out: dict[str, str] = {}
    for row in table.rows:
        id_, name = row.keys
        if id_ and name and name != id_:
            out.setdefault(id_, name)
    return out


def account(id_: str, names: Names) -> str:
    """'lumen-data' for '100000000003'."""
    return names.get(id_, id_)


def resource(id_: str) -> str:
    """'lumen-assistant' for '/subscriptions/.../accounts/lumen-assistant': clouds write whole paths."""
    if not id_.startswith(("/", "arn:", "https://", "projects/")):
        return id_
    return id_.rstrip("/").rpartition("/")[2].rpartition(":")[2] or id_


def with_id(dimension: str, value: str, names: Names) -> str:
    """A value for a table: 'lumen-data (100000000003)' for an account with a name, the value itself otherwise."""
    return f"{names[value]} ({value})" if dimension == ACCOUNT and value in names else value


def named(keys: Iterable[tuple[str, str]], names: Names = NO_NAMES) -> str:
    """A series in words: 'Amazon EC2 in lumen-data (AWS)', 'team web', 'region us-east-1 (AWS)', 'all costs'."""
    known = {name: value for name, value in keys if value}
    service, where, provider = (known.pop(name, "") for name in (_SERVICE, ACCOUNT, _PROVIDER))
    region = known.pop(_REGION, "")
    rest = [_tagged(name, value) for name, value in known.items() if name != "currency" and name not in _MARKS]
    if region:
        rest.insert(0, f"region {region}" if not service else region)
    text = " / ".join(part for part in (service, *rest) if part)
    if where:
        text = f"{text} in {account(where, names)}" if text else account(where, names)
    if provider:
        text = f"{text} ({provider})" if text else provider
    return text or "all costs"


def _tagged(name: str, value: str) -> str:
    return f"{name.removeprefix(TAG)} {value}" if name.startswith(TAG) else value


# What stands before and after a value.
_AROUND = {
    _REGION: ("", ""),
    _SERVICE: ("", ""),
    _PROVIDER: ("", ""),
    ACCOUNT: ("account ", ""),
    _RESOURCE: ("resource ", ""),
    str(Dimension.CHARGE_CATEGORY): ("", " charges"),
    str(Dimension.PRICING_CATEGORY): ("", " pricing"),
    str(Dimension.CURRENCY): ("", ""),
    str(Dimension.SKU): ("SKU ", ""),
}


def conditions(pairs: Iterable[tuple[str, str]], names: Names = NO_NAMES) -> str:
    """'us-east-1, team web, resource lumen-assistant'; empty without any."""
    return ", ".join(_condition(name, _called(name, value, names)) for name, value in pairs)


def _called(name: str, value: str, names: Names) -> str:
    return account(value, names) if name == ACCOUNT else resource(value) if name == _RESOURCE else value


def _condition(name: str, value: str) -> str:
    if name.startswith(TAG):
        key = name.removeprefix(TAG)
        return f"{key} {value}" if value else f"untagged ({key})"
    before, after = _AROUND.get(name, (name.replace("_", " ") + " ", ""))
    return f"{before}{value or '(none)'}{after}"
