"""Rolling: BigQuery rolls a FOCUS export up itself; only days of accounts, services, regions and chosen tags come over."""

# ruff: noqa: S608 - the table's name is checked, values are parameters
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tools.model.period import Period
from tools.providers.focus import pushed
from tools.providers.gcp.bigquery import BigQuery
from tools.providers.gcp.statements import Export, Statement, of_month


@dataclass(frozen=True, slots=True)
class BigQueryWords:
    """BigQuery's own words. Raw tag keys become parameters, which are collected as they are named."""

    tags: str
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)

    def day(self, column: str) -> str:
        return f"CAST({column} AS DATE)"

    def number(self, column: str) -> str:
        return f"CAST({column} AS NUMERIC)"

    def value(self, tag: str) -> str:
        name = f"raw_{len(self.parameters)}"
        if self._is_list:
            self.parameters[name] = ("STRING", tag)
            return f"(SELECT ANY_VALUE(t.value) FROM UNNEST(Tags) AS t WHERE t.key = @{name})"
        self.parameters[name] = ("STRING", '$."' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"')
        return f"JSON_VALUE({self._json}, @{name})"

    def keys(self) -> str:
        """A table of the keys of one row's tags, named t, and its column."""
        if self._is_list:
            return "UNNEST(Tags) AS t"
        return f"UNNEST(JSON_KEYS({self._json}, 1)) AS t"

    @property
    def key(self) -> str:
        return "t.key" if self._is_list else "t"

    @property
    def _json(self) -> str:
        # A charge without tags may have an empty text there, which is no JSON.
        return "Tags" if self.tags == "JSON" else "PARSE_JSON(NULLIF(TRIM(Tags), ''))"

    @property
    def _is_list(self) -> bool:
        return self.tags.endswith("REPEATED")

    def no_text(self) -> str:
        return "CAST('' AS STRING)"

    def no_number(self) -> str:
        return "CAST(NULL AS NUMERIC)"


def charges(
    bigquery: BigQuery, export: Export, account: str, period: Period, tag_keys: tuple[str, ...]
) -> Iterator[dict[str, str]]:
    """One billing period as FOCUS rows without resources; raises a ProviderError rather than give part of it."""
    words = BigQueryWords(export.columns.get("Tags", ""))
    which, parameters = of_month(export, account, period)
    source, doing = f"`{export.name}`", f"reading the charges of {account} in {period}"

    def ask(sql: str) -> Iterable[tuple[str | None, ...]]:
        statement = Statement(sql, parameters | words.parameters)
        return (tuple(cells.values()) for cells in bigquery.rows(export, statement, doing))

    found = ask(f"SELECT DISTINCT {words.key} AS k FROM {source} CROSS JOIN {words.keys()} WHERE {which}")
    meant = pushed.spellings([row[0] for row in found if row[0]] if words.tags else (), tag_keys)
    totals = pushed.totals(ask(pushed.control(words, source, which, tuple(export.columns))))
    rolled = pushed.rollup(words, source, which, tuple(export.columns), meant)
    yield from pushed.charges(ask(rolled), totals, tag_keys, account, period)
