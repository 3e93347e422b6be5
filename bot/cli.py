"""The command line: what can be typed, and which function does it (imported only when it is asked for)."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tools.model.errors import OptiInfraError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# tools/model/metric.py; written out so that `--help` loads nothing.
METRICS = (
    "billed",
    "effective",
    "list",
    "contracted",
    "gross",
    "credits",
    "net",
    "without_tax",
    "tax",
    "purchases",
    "without_purchases",
    "negotiated_savings",
    "commitment_savings",
    "savings",
)
Handler = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 on success, 1 on a refusal or failure (one sentence on stderr), 2 on wrong usage."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    room, name = str(args.run).split(":")
    try:
        handler: Handler = getattr(importlib.import_module(f"bot.terminal.{room}"), name)
        return handler(args)
    except OptiInfraError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one place where a failure is told on a terminal
        return 1
    except BrokenPipeError:
        # Somebody closed the pipe (`| head`). Python would complain once more when it flushes on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Every command with its arguments; nothing is imported for it."""
    parser = argparse.ArgumentParser(
        prog="optiinfra",
        description="Ask about cloud cost, get numbers with receipts, and turn savings real step by step.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for add in (_data, _checking, _export, _questions, _files, _findings, _allocation, _budgets, _rollouts, _running):
        add(commands)
    return parser


def _command(commands: Commands, name: str, run: str, about: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if run:
        parser.set_defaults(run=run)
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day; write it as 2026-11-23") from None


def _days(text: str) -> tuple[date, date]:
    start, dots, end = text.partition("..")
    if not dots:
        raise argparse.ArgumentTypeError(f"{text} is not a period; write it as 2026-10-01..2026-11-01 (end excluded)")
    return _day(start), _day(end)


def _period(parser: argparse.ArgumentParser, *, required: bool = False, named: bool = False) -> None:
    parser.add_argument("--from", dest="start", type=_day, metavar="DAY", required=required, help="first day")
    parser.add_argument("--to", dest="end", type=_day, metavar="DAY", required=required, help="day after the last")
    if named:
        parser.add_argument(
            "--period",
            default="",
            metavar="P",
            help="instead of --from and --to: 2026-10, 2026-Q4, 2026, FY2027, FY2027-Q1",
        )


def _where(parser: argparse.ArgumentParser) -> None:
    _filter(parser)
    _metric(parser)


def _filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--where", action="append", default=[], metavar="DIM=VALUE", help="keep only these costs; may be repeated"
    )


def _metric(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", choices=METRICS, default="billed", metavar="M", help=f"one of {', '.join(METRICS)}")


def _currency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--currency", default="", metavar="C", help="in this currency, by the file of OPTIINFRA_RATES_FILE"
    )


def _as(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--as", dest="user", required=required, default="", metavar="USER", help="e-mail of the person")


def _data(commands: Commands) -> None:
    ingest = _command(
        commands, "ingest", "costs:ingest", "Read FOCUS files into the database.", "optiinfra ingest exports/ --json"
    )
    ingest.add_argument(
        "paths", nargs="+", metavar="PATH", help="a FOCUS 1.0-1.4 file (csv, csv.gz, parquet) or folder"
    )
    ingest.add_argument("--provider", metavar="P", help="read only rows of this provider")
    collect = _command(
        commands, "collect", "collecting:collect", "Collect from everything that is configured.", "optiinfra collect"
    )
    collect.add_argument("--provider", metavar="P", help="only this provider")
    costs = _command(
        commands,
        "costs",
        "costs:costs",
        "Ask the cost data without language.",
        "optiinfra costs --from 2026-10-01 --to 2026-11-01 --by service --where provider=AWS",
    )
    _period(costs, named=True)
    costs.add_argument(
        "--by", default="", metavar="DIM[,DIM]", help="provider, service, region, account, team, allocation ..."
    )
    _where(costs)
    costs.add_argument("--granularity", choices=["total", "month", "day"], default="total")
    _currency(costs)
    explain = _command(
        commands,
        "explain",
        "explaining:explain",
        "Say why cost changed, exactly.",
        "optiinfra explain --from 2026-11-01 --to 2026-11-08 --against 2026-10-25..2026-11-01",
    )
    _period(explain, required=True)
    explain.add_argument("--against", type=_days, required=True, metavar="D..D", help="the period to compare with")
    _where(explain)
    _currency(explain)


def _checking(commands: Commands) -> None:
    reconcile = _command(
        commands,
        "reconcile",
        "reconciling:reconcile_bills",
        "Set every bill beside its invoice and say why they differ.",
        "optiinfra reconcile --from 2026-10-01 --to 2026-11-01 --invoices invoices.csv",
    )
    _period(reconcile)
    reconcile.add_argument(
        "--invoices",
        default="",
        metavar="FILE.csv",
        help="keep these first: provider, billing_account_id, period, amount, currency (invoice_id, tax)",
    )
    _command(
        commands,
        "coverage",
        "reconciling:show_coverage",
        "What the data of each account covers, and what is missing.",
        "optiinfra coverage --json",
    )


def _export(commands: Commands) -> None:
    export = _command(commands, "export", "", "Write stored cost data into a file.", "optiinfra export focus costs.csv")
    what = export.add_subparsers(metavar="WHAT", required=True)
    focus = _command(
        what, "focus", "exporting:focus", "Write a FOCUS file.", "optiinfra export focus costs.parquet --version 1.2"
    )
    focus.add_argument("path", metavar="PATH", help="a file that ends in .csv, .csv.gz or .parquet")
    focus.add_argument("--version", choices=["1.2", "1.4"], default="1.4", help="FOCUS version (default: 1.4)")


def _questions(commands: Commands) -> None:
    ask = _command(
        commands,
        "ask",
        "asking:ask",
        "Ask a question in words, as in Slack.",
        'optiinfra ask "what did we spend on S3 last month?"',
    )
    ask.add_argument("text", nargs="?", metavar="TEXT", help="the question")
    ask.add_argument("--batch", metavar="FILE", help='questions as lines {"id", "text", "thread"?, "as"?}')
    ask.add_argument("--as", dest="user", default="", metavar="USER", help="e-mail of the person who asks")
    ask.add_argument("--today", type=_day, metavar="DAY", help="pretend that this is today")
    ask.add_argument("--thread", default="", metavar="T", help="continue this conversation")
    ask.add_argument("--no-llm", action="store_true", help="use the offline planner only")


def _files(commands: Commands) -> None:
    detect = _command(
        commands,
        "detect",
        "files:detect",
        "Replay the anomaly detector over a daily cost file.",
        "optiinfra detect daily.csv --out alerts.csv",
    )
    detect.add_argument("file", metavar="FILE.csv")
    detect.add_argument("--out", required=True, metavar="ALERTS.csv")
    detect.add_argument(
        "--false-alerts",
        type=float,
        default=1.0,
        metavar="N",
        help="how many to accept in 1000 series-days (default 1)",
    )
    drivers = _command(
        commands, "drivers", "files:drivers", "Find the drivers in a leaf table.", "optiinfra drivers leaves.csv --json"
    )
    drivers.add_argument("file", metavar="FILE.csv", help="columns: dimensions..., expected, actual")


def _findings(commands: Commands) -> None:
    anomalies = _command(
        commands, "anomalies", "findings:anomalies", "Show the anomalies that were found.", "optiinfra anomalies"
    )
    _period(anomalies)
    anomalies.add_argument("--held", action="store_true", help="only those that this week's alerts have no room for")
    anomalies.add_argument(
        "--say",
        dest="feedback",
        nargs=2,
        metavar=("WORD", "ID"),
        help="what you say of an anomaly: expected, useful or mute (a mute needs --reason and --until), with --as; "
        "unmute and reopen take it back",
    )
    anomalies.add_argument("--reason", default="", metavar="R", help="why, for --say")
    anomalies.add_argument("--until", type=_day, metavar="DAY", help="last day of a mute")
    anomalies.add_argument("--per-week", type=int, metavar="N", help="tell at most so many a week in the digest (--as)")
    _as(anomalies, required=False)
    trends = _command(
        commands,
        "trends",
        "trending:trends",
        "What is rising and falling, how surely, and what is new.",
        "optiinfra trends --by service,account --days 90",
    )
    trends.add_argument(
        "--by", default="service", metavar="DIM[,DIM]", help="provider, service, region, account, team ..."
    )
    trends.add_argument("--days", type=int, default=90, metavar="N", help="how far back to look (default: 90)")
    trends.add_argument("--limit", type=int, default=10, metavar="N", help="how many to show (default: 10)")
    _where(trends)
    forecast = _command(
        commands, "forecast", "findings:forecast", "Forecast cost with its band.", "optiinfra forecast --by provider"
    )
    forecast.add_argument("--by", default="", metavar="DIM")
    forecast.add_argument("--days", type=int, default=30, metavar="N")
    forecast.add_argument("--file", default="", metavar="FILE.csv", help="forecast a daily cost file, no database")
    _where(forecast)
    recommend = _command(
        commands, "recommend", "recommending:recommend", "Run the savings rules now.", "optiinfra recommend --json"
    )
    recommend.add_argument("--kind", metavar="K", help="spot_migration, idle, cleanup, storage_class, commitment ...")
    _command(
        commands, "savings", "savings:savings", "What rollouts were expected to save, and did.", "optiinfra savings"
    )
    digest = _command(
        commands, "digest", "findings:digest", "Compose the morning digest without posting it.", "optiinfra digest"
    )
    digest.add_argument("--date", type=_day, metavar="DAY", help="the morning it is for (default: today)")
    digest.add_argument("--channel", metavar="C", help="channel it would be posted to")


def _allocation(commands: Commands) -> None:
    allocation = _command(commands, "allocation", "", "Who pays for what, by rules.", "optiinfra allocation report")
    actions = allocation.add_subparsers(metavar="ACTION", required=True)
    apply = _command(
        actions,
        "apply",
        "allocating:apply",
        "Store rules, or only say what they would move.",
        "optiinfra allocation apply teams.toml --dry-run",
    )
    apply.add_argument("file", metavar="FILE", help="rules as TOML (docs/allocation.md)")
    apply.add_argument("--dry-run", action="store_true", help="say what would move, store nothing")
    _as(apply, required=False)
    _period(apply, named=True)
    _metric(apply)
    show = _command(actions, "show", "allocating:show", "Show the rules that count.", "optiinfra allocation show")
    show.add_argument("--version", type=int, metavar="N", help="an earlier version")
    history = _command(
        actions, "history", "allocating:history", "List every version.", "optiinfra allocation history --json"
    )
    for parser in (show, history):
        parser.add_argument("--dimension", default="", metavar="D", help="only of this allocation dimension")
    remove = _command(
        actions,
        "remove",
        "allocating:remove",
        "Take a dimension's rules out of use.",
        "optiinfra allocation remove team --as ben@lumen.example",
    )
    remove.add_argument("dimension", metavar="DIMENSION")
    _as(remove)
    report = _command(
        actions,
        "report",
        "charging:report",
        "Own cost, shared cost and total of everybody who pays.",
        "optiinfra allocation report --period 2026-10",
    )
    report.add_argument("--dimension", default="", metavar="D", help="by these rules, where there are several")
    report.add_argument("--version", type=int, metavar="N", help="by an earlier version of the rules")
    _currency(report)
    untagged = _command(
        actions,
        "untagged",
        "charging:untagged",
        "Cost without a tag, month by month, and its trend.",
        "optiinfra allocation untagged --from 2026-06-01 --to 2026-11-01 --tag team",
    )
    untagged.add_argument("--tag", default="", metavar="KEY", help="only this tag key")
    for parser in (report, untagged):
        _period(parser, named=True)
        _where(parser)


def _budgets(commands: Commands) -> None:
    budget = _command(commands, "budget", "", "Budgets, and how they stand.", "optiinfra budget check")
    actions = budget.add_subparsers(metavar="ACTION", required=True)
    add = _command(
        actions,
        "set",
        "budgeting:assign",
        "Set a budget, or change it.",
        "optiinfra budget set checkout --amount 50000 --currency USD --where allocation=checkout --as ben@lumen.example",
    )
    add.add_argument("name", metavar="NAME", help="letters, digits, - and _")
    add.add_argument("--amount", required=True, metavar="N", help="50000 or 50000.50, for each period")
    add.add_argument("--currency", required=True, metavar="C", help="USD, EUR ...")
    add.add_argument("--period", choices=["month", "quarter", "fiscal_year"], default="month")
    add.add_argument(
        "--alert-at",
        default="50,80,100",
        metavar="P[,P]",
        help="tell when so many percent are spent (default 50,80,100)",
    )
    add.add_argument(
        "--chance",
        type=int,
        default=80,
        metavar="P",
        help="tell when the forecast passes the budget with this chance in percent (default 80; 0: never)",
    )
    add.add_argument(
        "--channel", default="", metavar="C", help="Slack channel id for its alerts (default: the digest's)"
    )
    _where(add)
    _command(actions, "list", "budgeting:listing", "List budgets.", "optiinfra budget list")
    check = _command(actions, "check", "budgeting:check", "Say how budgets stand.", "optiinfra budget check --json")
    check.add_argument("name", nargs="?", default="", metavar="NAME", help="only this one")
    remove = _command(
        actions,
        "remove",
        "budgeting:remove",
        "Remove a budget.",
        "optiinfra budget remove checkout --as ben@lumen.example",
    )
    remove.add_argument("name", metavar="NAME")
    for parser in (add, remove):
        _as(parser)
    units = _command(
        commands, "units", "", "Your own metrics, and cost per unit.", "optiinfra units report --metric orders"
    )
    actions = units.add_subparsers(metavar="ACTION", required=True)
    read = _command(
        actions, "import", "units:read", "Read a csv file of daily values.", "optiinfra units import orders.csv"
    )
    read.add_argument("file", metavar="FILE", help="columns date, metric, value, and dimensions that the values are of")
    report = _command(
        actions,
        "report",
        "units:report",
        "Cost per unit of a metric.",
        "optiinfra units report --metric orders --period 2026-10",
    )
    report.add_argument("--metric", default="", metavar="U", help="the metric to divide by (default: the only one)")
    report.add_argument("--cost", choices=METRICS, default="billed", metavar="M", help="which cost (as in `costs`)")
    report.add_argument("--granularity", choices=["day", "month", "total"], default="month")
    _period(report, named=True)
    _filter(report)
    _currency(report)


def _rollouts(commands: Commands) -> None:
    rollout = _command(commands, "rollout", "", "Propose, watch and decide rollouts.", "optiinfra rollout list")
    actions = rollout.add_subparsers(metavar="ACTION", required=True)
    _command(actions, "list", "rollouts:listing", "List all rollouts.", "optiinfra rollout list")
    show = _command(actions, "show", "rollouts:show", "Show one rollout.", "optiinfra rollout show ro-1a2b3c4d")
    show.add_argument("id", metavar="ID")
    propose = _command(
        actions,
        "propose",
        "rollouts:propose",
        "Propose a rollout.",
        "optiinfra rollout propose rec-1a2b3c4d --as ana@x",
    )
    propose.add_argument("id", metavar="RECOMMENDATION")
    propose.add_argument("--as", dest="user", required=True, metavar="USER", help="e-mail of the person")
    for name, about in (
        ("approve", "Approve the stage that waits."),
        ("promote", "Approve the next stage."),
        ("reject", "Refuse a proposed rollout."),
        ("abort", "Stop a rollout: nothing further happens, what was changed is rolled back."),
        ("rollback", "Roll back to where it began."),
        ("retry", "Go on with a rollout that is held, or try a rollback once more."),
    ):
        decide = _command(
            actions, name, "rollouts:decide", about, f"optiinfra rollout {name} ro-1a2b3c4d --as ben@lumen.example"
        )
        decide.set_defaults(action=name)
        decide.add_argument("id", metavar="ID")
        decide.add_argument("--as", dest="user", required=True, metavar="USER", help="e-mail of the person")
        decide.add_argument("--reason", default="", metavar="R")

    _stops(actions)


def _stops(actions: Commands) -> None:
    _command(actions, "stops", "stops:listing", "What forbids changes now or later.", "optiinfra rollout stops")
    resolve = _command(
        actions,
        "resolve",
        "stops:resolve",
        "Say whether an effect of unknown fate happened.",
        "optiinfra rollout resolve ro-1a2b3c4d --happened no --as ben@lumen.example",
    )
    resolve.add_argument("id", metavar="ID")
    resolve.add_argument("--happened", choices=["yes", "no"], required=True, help="what the cloud shows")
    stop = _command(
        actions,
        "stop",
        "stops:stop",
        "Stop all rollouts: no step begins or goes on, rollbacks do.",
        'optiinfra rollout stop --as olaf@lumen.example --reason "incident 42"',
    )
    resume = _command(
        actions, "resume", "stops:resume", "Lift the stop.", "optiinfra rollout resume --as ben@lumen.example"
    )
    freeze = _command(
        actions,
        "freeze",
        "stops:freeze",
        "Plan a time in which nothing new is changed.",
        "optiinfra rollout freeze --from 2026-12-20T18:00 --until 2027-01-04T06:00 --as olaf@lumen.example",
    )
    freeze.add_argument("--from", dest="start", required=True, metavar="TIME", help="UTC unless it says otherwise")
    freeze.add_argument("--until", dest="end", required=True, metavar="TIME", help="UTC unless it says otherwise")
    thaw = _command(
        actions, "thaw", "stops:thaw", "Lift a freeze.", "optiinfra rollout thaw fr-1 --as ben@lumen.example"
    )
    thaw.add_argument("id", metavar="FREEZE")
    for command in (resolve, stop, resume, freeze, thaw):
        command.add_argument("--as", dest="user", required=True, metavar="USER", help="e-mail of the person")
        command.add_argument("--reason", default="", metavar="R")


def _running(commands: Commands) -> None:
    serve = _command(commands, "serve", "serving:serve", "Run the product.", "optiinfra serve --role all")
    serve.add_argument("--role", choices=["all", "bot", "worker", "executor"], default="all")
    _command(commands, "doctor", "doctor:doctor", "Check settings and connections.", "optiinfra doctor")
    people = _command(commands, "people", "", "Who may do what.", "optiinfra people list")
    actions = people.add_subparsers(metavar="ACTION", required=True)
    _command(actions, "list", "people:listing", "List people and their roles.", "optiinfra people list")
    add = _command(
        actions, "set", "people:assign", "Add a person or change a role.", "optiinfra people set ana@x.example approver"
    )
    add.add_argument("email", metavar="E-MAIL")
    add.add_argument("role", choices=["viewer", "requester", "approver", "operator", "admin"])
    add.add_argument("--name", default="", metavar="NAME")
    add.add_argument("--slack", default="", metavar="ID", help="Slack user id (found by e-mail when left out)")
    audit = _command(commands, "audit", "", "The record of who did what.", "optiinfra audit verify")
    actions = audit.add_subparsers(metavar="ACTION", required=True)
    _command(actions, "verify", "people:audit_verify", "Check that no record was changed.", "optiinfra audit verify")
    _command(actions, "export", "people:audit_export", "Print every record.", "optiinfra audit export --json")
    prove = _command(
        commands, "prove", "proving:prove", "Simulate rollouts in a hostile world.", "optiinfra prove --rollouts 1000"
    )
    prove.add_argument("--rollouts", type=int, default=200, metavar="N", help="how many runs (default: 200)")
    prove.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the first run; a seed repeats its run")
    prove.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one per processor)")
    prove.add_argument("--defects", action="store_true", help="also switch each defence off and see it noticed")
    demo = _command(commands, "demo", "demo:demo", "Tell the three stories on loopback.", "optiinfra demo --once")
    demo.add_argument("--once", action="store_true", help="end after the stories (exit 0 only if all three held)")
    demo.add_argument("--port", type=int, default=0, metavar="P", help="port of the page (default: a free one)")


if __name__ == "__main__":
    sys.exit(main())
