"""Who pays: rules are read strictly, cost goes to the first rule that fits, pools are split, and every digit is kept."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analysis.world import load
from tests.collection.bills import bill, in_one_process, read
from tools.analysis import allocation, allocation_preview, splitting
from tools.analysis.allocation_rules import content_hash, parse, shadowed
from tools.analysis.costs import Costs, totals
from tools.model.allocation import Condition, Pool, Rule, Ruleset, Split
from tools.model.errors import ConflictError, InputError, UnknownDimensionError
from tools.model.metric import Metric
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity
from tools.store import allocation as store
from tools.store.database import Database, open_database

KEYS = ("team", "env")
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
AUTUMN = Period(date(2026, 10, 1), date(2026, 12, 1))
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
BASIC = """
dimension = "team"
[[rules]]
name = "shared"
when = { service = "*support*" }
pool = "platform"
[[rules]]
name = "tagged"
when = { "tag:team" = "*" }
value_of = "tag:team"
[[rules]]
name = "rest of aws"
when = { provider = "AWS", account = ["1*", "!19"] }
to = "Checkout"
[[pools]]
name = "platform"
"""


def row(cost: str, team: str = "", **other: str) -> dict[str, str]:
    """A line of a bill whose four costs are the same."""
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), cost)
    return {**costs, "Tags": f'{{"team": "{team}"}}' if team else "{}", "SubAccountId": "11", **other}


def filled(database: Database, folder: Path, *rows: dict[str, str]) -> Costs:
    """Costs of a bill of these lines."""
    with in_one_process():
        loads = read(database, bill(folder / "bill.csv", *rows), tag_keys=KEYS)
    assert {str(load.status) for load in loads} == {"loaded"}
    return Costs(database, "default", KEYS, 0)


def loaded(database: Database, path: Path) -> Costs:
    """The costs of a FOCUS file of tests/analysis/world.py."""
    with in_one_process():
        return load(database, path)


def apply(database: Database, source: str) -> None:
    """Store rules without the terminal around it."""
    with database.begin() as tx:
        name = parse(source, KEYS).dimension
        store.save(tx, "default", name, source=source, content_hash=content_hash(source), actor="ben@x", now=NOW)


def by_payer(costs: Costs, query: CostQuery) -> dict[str, Decimal | None]:
    return {r.keys[0]: r.cost for r in costs.table(replace(query, by=("allocation",))).rows}


LINES = (
    row("60", "checkout"),
    row("30", "search"),
    row("10", SubAccountId="12"),
    row("5", SubAccountId="19"),
    row("9", ServiceName="AWS Support (Business)"),
)


# rules as people write them


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("dimension = ", "The rules are not TOML"),
        ("", "The file holds no rules"),
        ("colour = 1", 'The file has a field "colour"'),
        ('dimension = "Cost Centre"\n[[rules]]\nto = "a"', "The dimension needs a short name"),
        ("rules = 3", "rules is not a list of tables"),
        ('[[rules]]\nto = "a"\nfor = "b"', 'Rule 1 has a field "for"'),
        ("[[rules]]\nto = 3", "Rule 1: to is not a short text"),
        ('[[rules]]\nwhen = { provider = "AWS" }', "Rule 1 must say exactly one of"),
        ('[[rules]]\nto = "a"\npool = "b"', "Rule 1 must say exactly one of"),
        ('[[rules]]\nto = "a"\nwhen = "AWS"', "Rule 1: when is not a table"),
        ('[[rules]]\nto = "a"\nwhen = { colour = "red" }', 'Rule 1: There is no dimension "colour"'),
        ('[[rules]]\nto = "a"\nwhen = { "tag:owner" = "x" }', "looks at the tag owner, which is not kept"),
        ('[[rules]]\nto = "a"\nwhen = { resource = "x" }', "rules work on accounts, services"),
        ('[[rules]]\nto = "a"\nwhen = { allocation = "x" }', "rules work on accounts, services"),
        ('[[rules]]\nto = "a"\nwhen = { account = 123456789012 }', "the values of account are not texts"),
        ('[[rules]]\nto = "a"\nwhen = { account = [] }', "the values of account are not texts"),
        ('[[rules]]\nto = "a"\nwhen = { cloud = "x", provider = "y" }', "Rule 1 tests provider twice"),
        ('[[rules]]\nname = "x"\nto = "a"\n[[rules]]\nname = "x"\nto = "b"', 'two rules called "x"'),
        ('[[rules]]\npool = "p"', "fills the pool p, which the file does not define"),
        ('[[rules]]\nto = "p"\n[[pools]]\nname = "p"', "gives to p, which is a pool"),
        ('[[rules]]\nto = "a"\n[[pools]]\nsplit = "even"', "Pool 1 has no name"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "half"', 'has the split "half"'),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\namong = "a"', "among is not a list of names"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\namong = ["a", "A"]', "names somebody twice"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "fixed"', "a fixed split has shares and nothing else"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nshares = { a = 100 }', "a fixed split has shares"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "fixed"\nshares = 3', "shares are not percentages"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "fixed"\nshares = { a = "x" }', "shares are not percent"),
        (
            '[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "fixed"\nshares = { a = -1 }',
            "not a percentage above 0",
        ),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\nsplit = "fixed"\nshares = { a = 99.9 }', "add up to 99.9 %"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\n[[pools]]\nname = "P"', "two pools called p"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\namong = ["b"]', "gives to b, which no rule and no pool names"),
        ('[[rules]]\nto = "a"\n[[pools]]\nname = "p"\namong = ["p"]', "The pool p gives to itself"),
        (
            '[[rules]]\nto = "a"\n[[pools]]\nname = "p"\namong = ["q"]\n[[pools]]\nname = "q"\namong = ["p"]',
            "give to each other in a ring",
        ),
        (
            '[[rules]]\nto = "a"\n[[pools]]\nname = "q"\namong = ["a"]\n[[pools]]\nname = "p"\namong = ["q"]',
            "The pool p gives to q, which is split before it",
        ),
        ('[[rules]]\nto = "a"\n' * 501, "are too many"),
        ("#" * 300_000, "longer than 256 KiB"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(source: str, said: str) -> None:
    """One sentence, about the first thing that is wrong."""
    with pytest.raises(InputError) as refused:
        parse(source, KEYS)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "unwanted", "fits", "fits_not"),
    [
        (("checkout",), (), ("checkout", "Checkout"), ("checkouts", "")),
        (("prod-*",), ("prod-test",), ("prod-eu", "PROD-"), ("prod-test", "dev")),
        (("*",), (), ("a",), ("",)),
        (("",), (), ("",), ("a",)),
        ((), ("a*",), ("b", ""), ("a", "abc")),
        (("v?",), (), ("v1",), ("v", "v12")),
        (("a[b]", "c.d"), (), ("a[b]", "c.d"), ("ab", "cxd")),
    ],
)
def test_patterns_fit_whole_values(
    wanted: tuple[str, ...], unwanted: tuple[str, ...], fits: tuple[str, ...], fits_not: tuple[str, ...]
) -> None:
    """In any case; a star is any value that is there, and nothing else in a pattern is special."""
    condition = Condition("tag:team", wanted, unwanted)
    assert all(condition.fits(value) for value in fits)
    assert not any(condition.fits(value) for value in fits_not)


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ("{}", '{ provider = "AWS" }', True),
        ('{ provider = "AWS" }', "{}", False),
        ('{ provider = "A*" }', '{ provider = ["AWS", "Azure"], region = "x" }', True),
        ('{ provider = "A*" }', '{ provider = ["AWS", "GCP"] }', False),
        ('{ account = "prod-*" }', '{ account = "prod-eu-*" }', True),
        ('{ account = "prod-eu-*" }', '{ account = "prod-*" }', False),
        ('{ account = "!test" }', '{ account = "prod" }', True),
        ('{ account = "!test" }', '{ account = "t*" }', False),
        ('{ account = ["*", "!b"] }', '{ account = ["*", "!b", "!c"] }', True),
        ('{ account = "*" }', '{ account = "" }', False),
        ('{ account = "" }', '{ account = "" }', True),
        ('{ account = "!a" }', '{ account = ["!a", "!b"] }', True),
        ('{ account = "*" }', '{ account = "p?*" }', True),
    ],
)
def test_a_rule_that_can_never_count_is_noticed(first: str, second: str, hidden: bool) -> None:
    """Where that is certain without looking at any cost."""
    rules = parse(f'[[rules]]\nwhen = {first}\nto = "a"\n[[rules]]\nwhen = {second}\nto = "b"', KEYS)
    assert (shadowed(rules) == {1: 0}) is hidden


def test_a_name_that_is_not_there_hides_nothing() -> None:
    """A rule that takes the name from a tag leaves untagged cost to the rules after it."""
    source = '[[rules]]\nvalue_of = "tag:team"\n[[rules]]\nwhen = {{ {} }}\nto = "b"'
    assert shadowed(parse(source.format('provider = "AWS"'), KEYS)) == {}
    assert shadowed(parse(source.format('"tag:team" = "x"'), KEYS)) == {1: 0}


# splitting


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, places=18),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=12).filter(any),
)
def test_a_split_adds_up_to_the_last_digit(amount: Decimal, weights: list[int]) -> None:
    """Whatever the amount and the weights; no part is further from its due than one unit of the last digit."""
    parts = splitting.split(amount, weights)
    assert sum(map(Fraction, parts)) == Fraction(amount)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(amount) * weight / sum(weights)) < Fraction(1, 10**18)


def test_the_largest_remainders_take_what_is_left() -> None:
    """Three thirds of one; the first among equals."""
    third = "0.333333333333333333"
    assert [str(p) for p in splitting.split(Decimal(1), (1, 1, 1))] == ["0.333333333333333334", third, third]
    assert str(splitting.split(Decimal(-1), (1, 1, 1))[0]) == "-0.333333333333333334"
    finer = splitting.split(Decimal("1E-30"), (1, 1))
    assert sum(finer) == Decimal("1E-30")


def _weights(pools: tuple[Pool, ...], direct: splitting.Costs, pooled: splitting.Costs) -> dict[str, dict[str, int]]:
    found = splitting.weigh(Ruleset("team", (Rule("r", (), to="a"),), pools), direct, pooled)
    return {name: dict(zip(w.names, w.parts, strict=True)) for name, w in found.items()}


def test_pools_give_to_pools_that_stand_after_them() -> None:
    """Fixed into even into proportional: down to those who pay."""
    pools = (
        Pool("first", Split.FIXED, (), (("a", Decimal(25)), ("second", Decimal(75)))),
        Pool("second", Split.EVEN, ("a", "third")),
        Pool("third", Split.PROPORTIONAL),
    )
    found = _weights(pools, {"a": Decimal(1), "b": Decimal(3), "": Decimal(9)}, {"third": Decimal(8)})
    assert found["third"] == {"a": 1, "b": 3}
    assert found["second"] == {"a": 5, "b": 3}
    assert found["first"] == {"a": 23, "b": 9}


def test_a_payer_may_be_called_like_a_pool() -> None:
    """The team platform pays its part of the pool platform, and is not taken for it."""
    pools = (Pool("all", Split.PROPORTIONAL), Pool("platform", Split.EVEN, ("a",)))
    found = _weights(pools, {"a": Decimal(1), "platform": Decimal(1)}, {"all": Decimal(2)})
    assert found["all"] == {"a": 1, "platform": 1}


def test_what_cannot_be_split_as_written_is_told() -> None:
    """Nobody to give to, an unknown price, nobody with a cost of their own; credits count on their side."""
    pool = Pool("p", Split.PROPORTIONAL, ("a", "b"))
    rules = Ruleset("team", (Rule("r", (), to="a"),), (pool,))

    def weigh(direct: splitting.Costs, one: Ruleset = rules) -> splitting.Weights:
        return splitting.weigh(one, direct, {"p": Decimal(1)})["p"]

    assert weigh({"a": None}).names == ("",)
    assert "a price is missing" in weigh({"a": None}).note
    assert weigh({"c": Decimal(1)}).parts == (1, 1)
    assert "evenly" in weigh({}).note
    assert weigh({"a": Decimal(-3), "b": Decimal(-1)}).parts == (3, 1)
    assert weigh({"a": Decimal(-3), "b": Decimal(5)}).names == ("b",)
    alone = replace(rules, pools=(Pool("p", Split.EVEN),))
    assert (weigh({}, alone).names, "nobody has a cost" in weigh({}, alone).note) == (("",), True)
    assert weigh({}).of(None) == {"a": None, "b": None}


# rules on stored costs


@pytest.mark.fact_stores
def test_the_first_rule_that_fits_wins(database: Database, tmp_path: Path) -> None:
    """Tags name teams in the rules' spelling, globs and negation pick accounts, shared cost goes by own cost."""
    costs = filled(database, tmp_path, *LINES)
    apply(database, BASIC)
    assert by_payer(costs, CostQuery(OCTOBER)) == {
        "Checkout": Decimal("76.3"),
        "search": Decimal("32.7"),
        "": Decimal(5),
    }
    table = costs.table(CostQuery(OCTOBER, by=("service_name", "allocation:team")))
    assert {r.keys: r.cost for r in table.rows}["AWS Support (Business)", "Checkout"] == Decimal("6.3")
    assert dict(table.totals) == dict(costs.table(CostQuery(OCTOBER)).totals)
    assert table.receipt.sql.startswith("-- allocation team, version 1")
    assert table.receipt.rows == 5
    mine = costs.table(CostQuery(OCTOBER, where=(Filter("allocation", ("search",)),), granularity=Granularity.DAY))
    assert [(r.start, r.cost) for r in mine.rows] == [(date(2026, 10, 2), Decimal("32.7"))]
    others = costs.table(CostQuery(OCTOBER, where=(Filter("allocation", ("search", ""), exclude=True),)))
    assert others.totals == (("USD", Decimal("76.3")),)
    assert costs.values("allocation") == ("Checkout", "search")


@pytest.mark.stores
def test_versions_are_kept_and_one_counts(database: Database, tmp_path: Path) -> None:
    """A new version counts at once; a removed dimension counts no more; two at the same moment do not both win."""
    costs = filled(database, tmp_path, *LINES)
    before = costs.version()
    apply(database, BASIC)
    apply(database, '[[rules]]\nto = "everybody"')
    assert costs.version() != before
    assert by_payer(costs, CostQuery(OCTOBER)) == {"everybody": Decimal(114)}
    first = allocation.report(costs, OCTOBER, version=1)
    assert {x.payer: x.shared for x in first.lines} == {"Checkout": Decimal("6.3"), "search": Decimal("2.7"), "": 0}
    with pytest.raises(InputError, match="no version 7"):
        allocation.report(costs, OCTOBER, version=7)
    apply(database, 'dimension = "cost_centre"\n[[rules]]\nto = "CC-1"')
    with pytest.raises(UnknownDimensionError, match="several allocation dimensions"):
        costs.table(CostQuery(OCTOBER, by=("allocation",)))
    with pytest.raises(UnknownDimensionError, match='no allocation rules called "tribe"'):
        costs.table(CostQuery(OCTOBER, by=("allocation:tribe",)))
    with pytest.raises(InputError, match="One allocation dimension"):
        costs.table(CostQuery(OCTOBER, by=("allocation:team", "allocation:cost_centre")))
    with database.begin() as tx:
        gone = {"source": "", "content_hash": "", "actor": "ben@x", "now": NOW, "removed": True}
        store.save(tx, "default", "team", **gone)  # type: ignore[arg-type]
    assert by_payer(costs, CostQuery(OCTOBER)) == {"CC-1": Decimal(114)}
    with database.read() as tx:
        assert [v.version for v in store.history(tx, "default", "team")] == [3, 2, 1]


def test_without_rules_nobody_can_be_asked(database: Database, tmp_path: Path) -> None:
    """The sentence says how to store some; the question without who pays is not concerned."""
    costs = filled(database, tmp_path, *LINES)
    with pytest.raises(InputError, match="No allocation rules are stored"):
        costs.table(CostQuery(OCTOBER, by=("allocation",)))
    assert costs.table(CostQuery(OCTOBER)).totals == (("USD", Decimal(114)),)
    apply(database, '[[rules]]\nwhen = { "tag:env" = "" }\nto = "a"')
    narrow = replace(costs, tag_keys=("team",))
    with pytest.raises(InputError, match="looks at the tag env, which is not kept"):
        narrow.table(CostQuery(OCTOBER, by=("allocation",)))


def test_two_who_store_rules_at_once_are_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one decides anew."""
    apply(database, BASIC)
    with pytest.raises(ConflictError, match="at the same moment"), database.begin() as tx:  # noqa: PT012 - one transaction
        monkeypatch.setattr("tools.store.allocation.func.coalesce", lambda *_: store.select(0).scalar_subquery())
        store.save(tx, "default", "team", source="", content_hash="", actor="x", now=NOW)


def test_months_have_their_own_proportions(database: Database, tmp_path: Path) -> None:
    """Days add up to months and months to the whole, also where a team's part of the bill changed."""
    november = {"BillingPeriodStart": "2026-11-01T00:00:00Z", "ChargePeriodStart": "2026-11-03T00:00:00Z"}
    november |= {"ChargePeriodEnd": "2026-11-04T00:00:00Z"}
    support = {"ServiceName": "AWS Support (Business)"}
    costs = filled(
        database,
        tmp_path,
        row("60", "a"),
        row("30", "b"),
        row("9", **support),
        row("10", "a", **november),
        row("90", "b", **november),
        row("10", **november, **support),
    )
    apply(database, BASIC)
    query = CostQuery(AUTUMN, by=("allocation",))
    assert by_payer(costs, query) == {"a": Decimal(77), "b": Decimal(132)}
    for fine in (Granularity.MONTH, Granularity.DAY):
        rows = costs.table(replace(query, granularity=fine)).rows
        assert sum(r.cost or 0 for r in rows if r.keys == ("a",)) == 77
    (series, _) = costs.series(CostQuery(AUTUMN, by=("allocation",)))
    assert sum(series.values) == 132
    filtered = CostQuery(AUTUMN, where=(Filter("service_name", ("AWS Support (Business)",)),))
    assert by_payer(costs, filtered) == {"a": Decimal(7), "b": Decimal(12)}


def test_what_cannot_be_given_stays_with_nobody(database: Database, tmp_path: Path) -> None:
    """A pool without anybody to pay, and a price that the bill leaves out."""
    costs = filled(database, tmp_path, row("9", ServiceName="AWS Support (Business)"))
    apply(database, BASIC)
    table = costs.table(CostQuery(OCTOBER, by=("allocation",)))
    assert [(r.keys, r.cost) for r in table.rows] == [(("",), Decimal(9))]
    assert any("pool platform stays unallocated: nobody" in m for m in table.coverage.missing)


def test_an_unknown_price_is_unknown_for_whoever_it_concerns(database: Database, tmp_path: Path) -> None:
    """And for the total; the others keep theirs."""
    costs = filled(database, tmp_path, row("1", "a", ListCost=""), row("2", "b"), row("9", ServiceName="My support"))
    apply(database, BASIC)
    made = allocation.report(costs, OCTOBER, metric=Metric.LIST)
    assert {x.payer: x.total for x in made.lines} == {"a": None, "b": Decimal(2), "": Decimal(9)}
    assert made.totals == (("USD", None),)
    assert [x.share for x in made.lines] == [None, None, None]


def test_a_preview_moves_nothing_and_says_what_would_move(database: Database, tmp_path: Path) -> None:
    """Money before and after, what each rule caught, and which can never count."""
    costs = filled(database, tmp_path, *LINES)
    source = BASIC + (
        '[[pools]]\nname = "idle"\namong = ["ghost"]\n'
        '[[rules]]\nname = "hidden"\nwhen = { "tag:team" = "search" }\nto = "x"\n'
        '[[rules]]\nname = "typo"\nwhen = { service = "Amazon S4" }\nto = "x"\n'
        '[[rules]]\nname = "late"\nwhen = { provider = ["AWS", "Q"], account = "12" }\nto = "y"\n'
        '[[rules]]\nname = "never"\nwhen = { provider = "Z*" }\nto = "y"\n'
    )
    window = allocation_preview.window(costs, date(2026, 11, 23))
    assert window == Period(date(2026, 10, 2), date(2026, 10, 3))  # no whole month before it is stored
    first = allocation_preview.preview(costs, parse(source, KEYS), window)
    moved = {m.payer: (m.before, m.after) for m in first.moves}
    assert moved == {"": (114, 5), "Checkout": (0, Decimal("76.3")), "search": (0, Decimal("32.7"))}
    caught = {h.rule.name if h.rule else "": h.raw_rows for h in first.hits}
    assert caught == {"shared": 1, "tagged": 2, "rest of aws": 1, "hidden": 0, "typo": 0, "late": 0, "never": 0, "": 1}
    told = "\n".join(first.warnings)
    for said in (
        '"hidden" can never count',
        'no cost has the service_name "Amazon S4" (did you mean Amazon S3',
        '"late" catches nothing (2 Oct 2026): what it fits (1 of the bill\'s lines) is taken by rules before it',
        '"never" catches nothing (2 Oct 2026)',
        "pool idle is filled by no rule",
        "pool idle gives to ghost, who has no cost of their own",
    ):
        assert said in told
    apply(database, BASIC)
    second = allocation_preview.preview(costs, parse('[[rules]]\nto = "all"', KEYS), window)
    assert second.current is not None
    moved = {m.payer: (m.before, m.after) for m in second.moves}
    assert moved["Checkout"] == (Decimal("76.3"), 0)
    assert moved["all"] == (0, 114)


def test_a_preview_without_costs_says_so(database: Database) -> None:
    """Rules can be written before the first bill comes."""
    costs = Costs(database, "default", KEYS, 0)
    assert allocation_preview.window(costs, date(2026, 11, 23)) is None
    made = allocation_preview.preview(costs, parse(BASIC, KEYS), None)
    assert (made.moves, made.hits) == ((), ())
    assert "no costs are stored" in made.warnings[-1]


# whatever the rules and the costs


def _random_rows(seed: int) -> Iterator[dict[str, str]]:
    dice = random.Random(seed)
    for n in range(90):
        month = dice.choice(("10", "11"))
        day = f"2026-{month}-{dice.randint(1, 20):02}"
        category = dice.choice(("Usage",) * 6 + ("Credit", "Tax", "Purchase"))
        cost = f"{dice.uniform(0.0001, 50):.12f}"
        yield {
            **row(f"-{cost}" if category == "Credit" else cost, dice.choice(("", "", "Red", "red", "blue", "green"))),
            "EffectiveCost": f"{dice.uniform(0, 50):.15f}",
            "ListCost": "" if seed % 2 and n % 30 == 0 else f"{dice.uniform(0, 80):.9f}",
            "ChargeCategory": category,
            "ProviderName": "AWS",
            "BillingCurrency": dice.choice(("USD", "USD", "EUR")),
            "BillingPeriodStart": f"2026-{month}-01T00:00:00Z",
            "ChargePeriodStart": f"{day}T00:00:00Z",
            "ChargePeriodEnd": f"{day}T01:00:00Z",
            "SubAccountId": dice.choice(("11", "12", "21")),
            "ServiceName": dice.choice(("EC2", "S3", "Support")),
            "ServiceCategory": "Compute",
            "RegionId": dice.choice(("eu-west-1", "us-east-1", "")),
        }


@pytest.fixture(scope="module")
def random_costs(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[list[Costs]]:
    """Two random bills, one with missing prices, in two currencies and months."""
    made = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp(f"random-{seed}")
        shutil.copy(sqlite_template, folder / "state.db")
        database = open_database(f"sqlite:///{folder / 'state.db'}", migrate=False)
        made.append(filled(database, folder, *_random_rows(seed)))
    yield made
    for costs in made:
        costs.database.dispose()


VALUES = {
    "tag:team": ("red", "Blue", "gr*", "", "*", "purple"),
    "sub_account_id": ("11", "1?", "2*", "99"),
    "service_name": ("EC2", "s*", "Support"),
    "region_id": ("eu-*", "", "us-east-1"),
    "charge_category": ("Usage", "Credit", "Tax"),
    "tag:env": ("", "prod"),
}
PAYERS = ("red", "ops", "data")


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Condition, ...]:
    chosen = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True))
    some = {d: st.lists(st.sampled_from(VALUES[d]), max_size=2, unique=True).map(tuple) for d in chosen}
    return tuple(Condition(d, draw(some[d]), draw(some[d])) for d in chosen)


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    """Up to six rules over two pools of any kind, the first of which may give to the second."""
    fixed = (("red", Decimal("33.3")), ("second", Decimal("66.7")))
    first = draw(
        st.sampled_from(
            (
                Pool("first", Split.FIXED, (), fixed),
                Pool("first", Split.PROPORTIONAL),
                Pool("first", Split.EVEN, ("ops", "second")),
                Pool("first", Split.PROPORTIONAL, ("data", "red")),
            )
        )
    )
    second = draw(st.sampled_from((Pool("second", Split.EVEN), Pool("second", Split.PROPORTIONAL, ("ops", "red")))))
    targets = st.sampled_from(
        [{"to": name} for name in PAYERS] + [{"value_of": "tag:team"}, {"pool": "first"}, {"pool": "second"}]
    )
    count = draw(st.integers(1, 6))
    rules = tuple(Rule(f"rule {n}", draw(conditions()), **draw(targets)) for n in range(count))
    return Ruleset("team", rules, (first, second))


_QUERIES = (
    CostQuery(AUTUMN),
    CostQuery(OCTOBER, by=("service_name",), granularity=Granularity.MONTH),
    CostQuery(AUTUMN, where=(Filter("service_name", ("Support",)),), granularity=Granularity.DAY),
)


def _is_conserved(costs: Costs, rules: Ruleset, asked: CostQuery) -> None:
    with costs.database.read() as tx:
        given_out = allocation.give(costs, tx, asked, rules)
        bill_says = dict(totals(costs.seen(tx, replace(asked, by=(), granularity=Granularity.TOTAL)).rows))
    sums: dict[str, Decimal | None] = {}
    for part in given_out.parts:
        both = allocation.add(part.direct, part.shared)
        sums[part.currency] = allocation.add(sums.get(part.currency, Decimal(0)), both)
    assert {c: sums.get(c, Decimal(0)) for c in bill_says} == bill_says
    assert sum(p.raw_rows for p in given_out.parts) <= given_out.look.receipt.rows


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rulesets(), which=st.integers(0, 1), query=st.sampled_from(_QUERIES), metric=st.sampled_from(Metric))
def test_allocated_and_unallocated_are_the_total(
    random_costs: list[Costs], rules: Ruleset, which: int, query: CostQuery, metric: Metric
) -> None:
    """Random rules on random costs, in every currency, to the last digit."""
    _is_conserved(random_costs[which], rules, replace(query, metric=metric))


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_is_conserved(random_costs: list[Costs], metric: Metric) -> None:
    """Credits, savings and what may be unknown as well: one set of rules with everything in it."""
    rules = parse(
        """
        [[rules]]
        when = { service = "Support" }
        pool = "company"
        [[rules]]
        when = { region = "", "tag:team" = "!green" }
        pool = "platform"
        [[rules]]
        value_of = "tag:team"
        [[rules]]
        when = { account = "1*" }
        to = "Red"
        [[pools]]
        name = "company"
        among = ["Red", "blue", "platform"]
        [[pools]]
        name = "platform"
        split = "fixed"
        shares = { Red = 12.5, green = 87.5 }
        """,
        KEYS,
    )
    for costs in random_costs:
        _is_conserved(costs, rules, CostQuery(AUTUMN, metric=metric))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rulesets())
def test_the_database_and_the_rules_mean_the_same(random_costs: list[Costs], rules: Ruleset) -> None:
    """Which rule a cost meets first is the same in SQL and when it is read off the rules value by value."""
    looked = tuple(sorted({*rules.dimensions, "tag:team"}))
    costs = random_costs[0]
    with costs.database.read() as tx:
        rows = costs.seen(tx, CostQuery(AUTUMN, by=looked), rules).rows
    assert rows
    for found in rows:
        values = dict(zip(looked, found.keys[:-1], strict=True))
        first = next((n for n, rule in enumerate(rules.rules, 1) if _meets(rule, values)), 0)
        named = values["tag:team"] if first and rules.rules[first - 1].value_of else ""
        assert store.met(found.keys[-1]) == (first, named)


def _meets(rule: Rule, values: dict[str, str]) -> bool:
    present = not rule.value_of or values[rule.value_of] != ""
    return present and all(c.fits(values[c.dimension]) for c in rule.conditions)
