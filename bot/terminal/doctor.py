"""`optiinfra doctor`: looks at everything that must work and says what to do about what does not."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.app import App, open_app
from bot.terminal.output import print_json
from tools.model.errors import OptiInfraError
from tools.providers.base import Access

OK, OFF, WARNING, FAILED = "ok", "off", "warning", "failed"
_MARK = {OK: "ok     ", OFF: "off    ", WARNING: "warning", FAILED: "FAILED "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `status` is ok, off (not configured), warning or failed."""

    name: str
    status: str
    detail: str
    fix: str = ""


def doctor(args: argparse.Namespace) -> int:
    """Print every finding; 1 when something that is configured does not work."""
    findings = tuple(examine(open_app()))
    if args.json:
        print_json({"checks": findings})
    else:
        for f in findings:
            print(f"{_MARK[f.status]}  {f.name}: {f.detail}" + (f"\n         -> {f.fix}" if f.fix else ""))
    return 1 if any(f.status == FAILED for f in findings) else 0


def examine(app: App) -> Iterator[Finding]:
    """Look at each part in turn; one that fails never hides the next."""
    for look in (
        _database,
        _cost_facts,
        _redis,
        _slack,
        _deliveries,
        _language_model,
        _cost_files,
        _health_source,
        _clouds,
    ):
        yield from _guarded(look, app)


def _guarded(look: Callable[[App], Iterator[Finding]], app: App) -> Iterator[Finding]:
    try:
        yield from look(app)
    except OptiInfraError as error:
        yield Finding(look.__name__.strip("_").replace("_", " "), FAILED, error.what, error.fix)


def _database(app: App) -> Iterator[Finding]:
    from bot.api.health import readiness

    for check in readiness(app.database):
        yield Finding(check.name, OK if check.ok else FAILED, f"{app.database.dialect}, {check.detail}")


def _cost_facts(app: App) -> Iterator[Finding]:
    """Where the facts lie, and whether they add up to what the ledger says was loaded."""
    from tools.model.query import CostQuery
    from tools.store import loads

    place = str(app.database.facts or f"beside the rest ({app.database.dialect})")
    with app.database.read() as tx:
        billed, elsewhere = loads.billed(tx, app.tenant), loads.elsewhere(tx, app.tenant)
    span = app.costs.span()
    stored = {} if span is None else dict(app.costs.table(CostQuery(span)).totals)
    if stored != billed:
        fix = "Name an empty database in OPTIINFRA_FACTS_URL (or restore a backup), then read the cost files again."
        yield Finding("cost facts", FAILED, f"{place}: what lies there does not add up to what was loaded", fix)
    else:
        yield Finding("cost facts", OK, f"{place}, adds up to what was loaded")
    if elsewhere:
        fix = "Read the cost files again, or set OPTIINFRA_FACTS_URL as it was."
        yield Finding("cost facts elsewhere", WARNING, f"{elsewhere} billing periods lie in another store", fix)


def _redis(app: App) -> Iterator[Finding]:
    from redis.exceptions import RedisError

    from bot.shared.wakeups import connect

    redis = connect(app.settings.redis_url)
    if redis is None:
        yield Finding("redis", OFF, "not configured; limits and wake-ups stay in each process")
        return
    try:
        redis.ping()
    except RedisError as error:
        yield Finding(
            "redis", WARNING, f"does not answer ({error}); the product works without it", "Check OPTIINFRA_REDIS_URL."
        )
    else:
        yield Finding("redis", OK, "answers")


def _slack(app: App) -> Iterator[Finding]:
    settings = app.settings
    token = settings.slack_bot_token.get_secret_value()
    if not token:
        yield Finding("slack", OFF, "no bot token", "Set SLACK_BOT_TOKEN (README, Connect Slack).")
        return
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    try:
        me = WebClient(token=token, base_url=settings.slack_api_url, timeout=5).auth_test()
    except SlackApiError as error:
        code = error.response.get("error", "no reason")
        yield Finding(
            "slack", FAILED, f"refused the bot token ({code})", "Install the app again and copy its Bot token."
        )
        return
    except OSError as error:
        yield Finding("slack", FAILED, f"cannot be reached ({error})", "Check SLACK_API_URL and the network.")
        return
    yield Finding("slack", OK, f"{me['user']} in {me['team']}")
    if settings.slack_app_token.get_secret_value():
        yield Finding("slack events", OK, "Socket Mode")
    elif settings.slack_signing_secret.get_secret_value():
        yield Finding("slack events", OK, "HTTP mode at /slack/events")
    else:
        fix = "Set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP mode)."
        yield Finding("slack events", FAILED, "no way for events to come in", fix)
    if not settings.digest_channel:
        yield Finding("digest", OFF, "no channel", "Set OPTIINFRA_DIGEST_CHANNEL to a channel id.")


def _deliveries(app: App) -> Iterator[Finding]:
    from tools.store import outbox

    with app.database.read() as tx:
        stuck = outbox.stuck(tx, app.tenant)
    for message in stuck:
        yield Finding(f"{message.topic} {message.subject}", WARNING, f"not told yet: {message.problem}")


def _language_model(app: App) -> Iterator[Finding]:
    key = app.settings.groq_api_key.get_secret_value()
    if not key:
        yield Finding("language model", OFF, "no key: the offline planner answers alone")
        return
    import requests

    base = (app.settings.groq_api_base or "https://api.groq.com").rstrip("/")
    try:
        reply = requests.get(f"{base}/openai/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=5)
        models = {m["id"] for m in reply.json()["data"]} if reply.ok else set()
    except (requests.RequestException, ValueError, KeyError, TypeError):
        yield Finding(
            "language model", WARNING, "does not answer; the offline planner stands in", "Check GROQ_API_BASE."
        )
        return
    if not reply.ok:
        yield Finding("language model", WARNING, f"refused the key (HTTP {reply.status_code})", "Check GROQ_API_KEY.")
        return
    for wanted in (app.settings.llm_model, app.settings.llm_fallback_model):
        if wanted in models:
            yield Finding("language model", OK, wanted)
        else:
            yield Finding("language model", WARNING, f"{wanted} is not offered", "Set OPTIINFRA_LLM_MODEL.")


def _cost_files(app: App) -> Iterator[Finding]:
    for path in app.settings.focus_paths:
        if "://" in path or Path(path).exists():
            yield Finding("cost files", OK, path)
        else:
            yield Finding("cost files", FAILED, f"{path} does not exist", "Correct OPTIINFRA_FOCUS_PATHS.")
    span = app.costs.span()
    if span is None:
        yield Finding("cost data", WARNING, "none yet", "Say: optiinfra ingest PATH - or: optiinfra collect")
    else:
        yield Finding("cost data", OK, f"{span}")


def _health_source(app: App) -> Iterator[Finding]:
    from tools.providers import registry
    from tools.settings import SERVICE_VARIABLES

    source = registry.health(app.settings)
    if source is None:
        fix = f"Set OPTIINFRA_PROMETHEUS_URL, or name balancers in {SERVICE_VARIABLES}."
        yield Finding("service health", OFF, "no metrics source: no rollout of a service may start", fix)
    else:
        yield Finding("service health", OK, source.check())


def _clouds(app: App) -> Iterator[Finding]:
    from tools.providers import registry
    from tools.store.paid_requests import StoredPaidRequests

    for inventory in registry.inventories(app.settings):
        yield from map(_access, inventory.check_access())
    for billing in registry.billings(app.settings, paid=StoredPaidRequests(app.database, app.tenant)):
        for access in billing.check_access():
            yield _access(access, " bills")


def _access(access: Access, what: str = "") -> Finding:
    missing = f"missing: {', '.join(access.missing)}" if access.missing else ""
    detail = "; ".join(part for part in (access.identity, access.problem, missing) if part)
    who = access.identity or "the identity that OptiInfra uses"
    fix = f"Grant {', '.join(access.missing)} to {who}." if access.missing else ""
    name = f"{access.provider} {access.account_id}{what}"
    return Finding(name, OK if access.ok else FAILED, detail, fix)
