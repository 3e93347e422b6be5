"""Roll-ups made where the export lies: the same answers as from its rows, far fewer rows, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
import sqlglot

from sandbox.clouds import gcp_export
from sandbox.clouds.gcp import BILLING_PROJECT
from sandbox.clouds.gcp_bigquery import DATASET
from sandbox.organisation import GCP_BILLING_ACCOUNT
from tests.collection import random_questions
from tests.collection.bills import in_one_process, read
from tests.providers.athena_engine import AthenaEngine, athena
from tests.providers.conftest import Gcp
from tools.analysis.costs import Costs
from tools.collection.billing import collect
from tools.model.errors import ProviderError, SettingsError, TransientError
from tools.model.period import Period
from tools.model.query import CostQuery
from tools.providers.aws.connection import Connection
from tools.providers.aws.export_table import AthenaWords, AwsExportTable
from tools.providers.focus import pushed
from tools.providers.focus.rows import write
from tools.providers.gcp.rolling import BigQueryWords
from tools.settings import Settings
from tools.store.database import Database

SEED = 7
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
MONTHS = (Period(date(2026, 8, 1), date(2026, 9, 1)), Period(date(2026, 9, 1), date(2026, 10, 1)), OCTOBER)
FOCUS = f"{BILLING_PROJECT}.{DATASET}.{gcp_export.FOCUS}"


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    return random_questions.write(tmp_path / "bill.csv", SEED)


@pytest.fixture
def engine(bill: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AthenaEngine]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with athena(bill) as running:
        yield running


def table(engine: AthenaEngine, sleep: Callable[[float], None] = lambda _: None, **more: object) -> AwsExportTable:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own
        aws_endpoint_url=engine.url,
        aws_regions=("eu-west-1",),
        **({"aws_billing_table": "costs.focus", "tag_keys": random_questions.TAG_KEYS} | more),  # type: ignore[arg-type]
    )
    made = AwsExportTable.of(settings, Connection.of(settings), lambda: datetime(2026, 11, 23, 8, tzinfo=UTC))
    return AwsExportTable(
        type(made.athena)(made.athena.connection, "primary", sleep=sleep), made.table, made.tag_keys, made.now
    )


def everything(told: AwsExportTable, folder: Path) -> list[Path]:
    """Every account and month as the files that are stored."""
    paths = []
    for access in told.check_access():
        assert access.ok, access.problem
        for number, period in enumerate(MONTHS):
            paths.append(folder / f"{access.account_id}-{number}.csv")
            write(paths[-1], told.charges(access.account_id, period))
    return paths


@pytest.mark.parametrize("tags", ["map<string,string>", "string"])
def test_athena_gives_the_answers_of_the_rows(
    bill: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: str
) -> None:
    """Fifty random questions about accounts, services, regions, pricing and tags; tags as a map, and as JSON text."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with athena(bill, tags) as engine, in_one_process():
        read(database, bill, tenant="rows")
        files = everything(table(engine), tmp_path)
        read(database, *files, tenant="rolled")
    rows, rolled = (Costs(database, tenant, random_questions.TAG_KEYS, 2) for tenant in ("rows", "rolled"))
    for query in islice(filter(_without_resources, random_questions.questions(SEED)), 50):
        assert _answer(rolled, query) == _answer(rows, query), query
    assert any("team" in one for one in engine.statements)
    assert all("billing_period IN ('2026-" in one for one in engine.statements)


def _without_resources(query: CostQuery) -> bool:
    asked = {*query.by, *(f.dimension for f in query.where)}
    return not asked & {"resource_id", "sku_id"}


def _answer(costs: Costs, query: CostQuery) -> list[tuple[object, ...]]:
    return [(r.keys, r.start, r.cost, r.currency) for r in costs.table(query).rows]


def test_only_rolled_rows_come_over(engine: AthenaEngine) -> None:
    """No resource, no SKU; the tag keys that are kept and no others; the open month is an estimate."""
    told = table(engine, tag_keys=("team",))
    found = list(told.charges("111111111111", OCTOBER))
    assert {"ResourceId", "SkuId", "ChargeDescription"}.isdisjoint(found[0])
    assert {row["Tags"] for row in found if row["Tags"]} == {
        '{"team": "search"}',
        '{"team": "Shop"}',
        '{"team": "x y"}',
    }
    assert {row["x_Estimated"] for row in found} == {"false"}
    assert list(told.charges("111111111111", Period(date(2026, 12, 1), date(2027, 1, 1)))) == []


def test_a_roll_up_that_lost_a_row_is_not_used(engine: AthenaEngine) -> None:
    """Control totals of the raw rows are asked apart, and they differ."""
    engine.lost = 1
    with pytest.raises(TransientError, match=r"What was added up of 111111111111 .* none of it is used"):
        list(table(engine).charges("111111111111", OCTOBER))


def test_what_athena_refuses_is_told(engine: AthenaEngine) -> None:
    """A missing permission by name; a failed query by its id; one that never ends is stopped."""
    engine.refused = "GetTableMetadata"
    (access,) = table(engine).check_access()
    assert (access.ok, access.missing) == (False, ("athena:GetTableMetadata",))
    engine.refused = ""
    engine.states = ["QUEUED", "FAILED"]
    with pytest.raises(ProviderError, match=r"query query-1 failed"):
        list(table(engine).charges("111111111111", OCTOBER))
    engine.states = ["RUNNING"] * 500
    waited: list[float] = []
    with pytest.raises(TransientError, match="did not finish"):
        list(table(engine, waited.append).charges("111111111111", OCTOBER))
    assert (engine.stopped, sum(waited)) == (["query-2"], 600)


def test_names_of_tables_are_checked(engine: AthenaEngine) -> None:
    """What could change a statement is no name; a table of something else is no export."""
    for name in ('costs.focus"; DROP TABLE x', "focus", "a.b.c.d", "costs.fo cus"):
        with pytest.raises(SettingsError, match="OPTIINFRA_AWS_BILLING_TABLE"):
            table(engine, aws_billing_table=name)
    engine.db.execute('ALTER TABLE "AwsDataCatalog".costs.focus DROP COLUMN EffectiveCost')
    with pytest.raises(ProviderError, match="has no column EffectiveCost"):
        list(table(engine).charges("1", OCTOBER))


def test_an_export_without_rows_or_with_strange_ones_is_told(engine: AthenaEngine) -> None:
    """An empty table is not an account that costs nothing; what is no number is not taken for 0."""
    engine.partition = False
    engine.db.execute("DELETE FROM \"AwsDataCatalog\".costs.focus WHERE billing_period > '2026-09'")
    (access,) = table(engine).check_access()
    assert (access.ok, access.identity) == (False, "arn:aws:iam::123456789012:role/reader")
    assert "has no rows of this month or the one before" in access.problem
    with pytest.raises(SettingsError, match="not connected"):
        table(engine, aws_billing_table="")
    good = ["USD", "1.5", "0", "1", "0", "1", "0", "1", "0", "3"]
    assert pushed.totals([good])["USD"].rows == 3
    for wrong in ("NaN", "much"):
        with pytest.raises(ProviderError, match="a sum that cannot be read"):
            pushed.totals([[good[0], wrong, *good[2:]]])
    dims = [None] * len(pushed.DIMENSIONS)
    with pytest.raises(ProviderError, match="a day that cannot be read"):
        list(pushed.charges([["soon", None, *dims, *good[1:]]], {}, (), "1", OCTOBER))


def test_bigquery_rolls_up_to_the_same_cents(gcp: Gcp) -> None:
    """October of the story by project, service and team: the same as from all rows, in fewer rows."""
    whole = list(gcp.billing(gcp_billing_table=FOCUS).charges(GCP_BILLING_ACCOUNT, OCTOBER))
    rolled = list(
        gcp.billing(gcp_billing_table=FOCUS, gcp_rollup=True, tag_keys=("team",)).charges(GCP_BILLING_ACCOUNT, OCTOBER)
    )
    assert len(rolled) < len(whole)
    assert _per(rolled) == _per(whole)
    assert not any(row.get("ResourceId") for row in rolled)


def _per(rows: list[Mapping[str, str]]) -> dict[tuple[str, ...], Decimal]:
    found: dict[tuple[str, ...], Decimal] = {}
    for row in rows:
        team = next((t for t in ("web", "search", "data", "platform") if f'"team": "{t}"' in row["Tags"]), "")
        key = (row["ChargePeriodStart"], row["SubAccountId"], row["ServiceName"], row["RegionId"], team)
        found[key] = found.get(key, Decimal(0)) + Decimal(row["BilledCost"])
    return found


def test_bigquerys_roll_up_is_collected_like_any_bill(
    gcp: Gcp, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored month by month; the second time nothing changes."""
    monkeypatch.setattr("tools.collection.billing.HISTORY_MONTHS", 2)
    for status in ("loaded", "unchanged"):
        billing = gcp.billing(gcp_billing_table=FOCUS, gcp_rollup=True, tag_keys=("team",))
        (bill,) = collect(database, "default", [billing], tag_keys=("team",), detail_months=2, now=gcp.now)
        assert bill.access.ok, bill.access.problem
        assert [str(load.status) for load in bill.loads] == [status, status]


@pytest.mark.parametrize(
    ("words", "dialect"),
    [
        (AthenaWords("map<string,string>"), "athena"),
        (AthenaWords("string"), "athena"),
        (BigQueryWords("RECORD REPEATED"), "bigquery"),
        (BigQueryWords("STRING"), "bigquery"),
        (BigQueryWords("JSON"), "bigquery"),
    ],
)
def test_statements_are_sql_of_their_engines(words: AthenaWords | BigQueryWords, dialect: str) -> None:
    """Another parser than the engine's reads them whole, whatever tag keys there are."""
    meant = pushed.spellings(['te"am', "user:team", "it's", "Team"], ("team", "its"))
    assert meant == {"team": ("Team", "user:team"), "its": ()}
    meant["odd"] = ('te"am', "it's", "a\\b")
    source = "`p.d.t`" if dialect == "bigquery" else '"c"."d"."t"'
    has = (*pushed.NEEDED, "ServiceName", "Tags")
    for sql in (
        pushed.rollup(words, source, "TRUE", has, meant),
        pushed.control(words, source, "TRUE", has),
        f"SELECT DISTINCT 1 FROM {source} CROSS JOIN {words.keys() if dialect == 'bigquery' else 'UNNEST(' + words.keys() + ') AS t (k)'}",
    ):
        (parsed,) = sqlglot.parse(sql, read=dialect)
        assert isinstance(parsed, sqlglot.exp.Select)
