"""`optiinfra allocation ...`: rules of who pays for what - try them, store them, look at their versions."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal
from pathlib import Path

from bot.app import App, open_app
from bot.terminal.costs import asked_period
from bot.terminal.output import money, one_line, print_json, table
from tools.model.access import Permission, Principal
from tools.model.allocation import Hit, Preview, RulesVersion
from tools.model.audit import AuditEntry
from tools.model.errors import InputError, NotFoundError, RefusedError
from tools.model.query import ALLOCATION, Metric
from tools.store import allocation as store
from tools.store import audit

NOBODY = "(unallocated)"
_LONGEST = 1 << 20


def authorised(app: App, email: str, permission: Permission, what: str) -> Principal:
    """The person who changes something; raises RefusedError (which is kept) when the role does not allow it."""
    if not email:
        raise InputError(f"Somebody must stand for {what}.", fix="Add --as E-MAIL.")
    person = app.person(email)
    if not person.may(permission):
        with app.database.begin() as tx:
            audit.record(tx, AuditEntry(app.tenant, app.now(), person.id, str(permission), what, "refused", "role", {}))
        raise RefusedError(
            "role",
            f"{person.name} may not change this (role {person.role}).",
            fix="An approver or an administrator may: optiinfra people set E-MAIL approver",
        )
    return person


def apply(args: Namespace) -> int:
    """Store rules as the version that counts from now on, or (--dry-run) only say what they would do."""
    from tools.analysis import allocation_preview as trying
    from tools.analysis import allocation_rules

    app = open_app()
    source = _read(Path(args.file))
    rules = allocation_rules.parse(source, app.settings.tag_keys)
    person = None if args.dry_run else authorised(app, args.user, Permission.ALLOCATION_CHANGE, "a change of rules")
    window = trying.window(app.costs, app.now().date())
    if args.start or args.end or args.period:
        window = asked_period(args, app.settings.fiscal_year_start)
    preview = trying.preview(app.costs, rules, window, metric=Metric(args.metric))
    saved = _store(app, preview, source, person) if person else None
    if args.json:
        print_json(_preview_document(preview, saved))
        return 0
    _print_preview(preview)
    print(_outcome(preview, saved, dry=person is None))
    return 0


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise InputError(f"{path.name} is too large for a file of rules.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text.", fix="Save it as UTF-8.") from None


def _store(app: App, preview: Preview, source: str, person: Principal) -> RulesVersion | None:
    """The stored version; None when it is what counts already."""
    from tools.analysis.allocation_rules import content_hash

    own, now, name = content_hash(source), app.now(), preview.rules.dimension
    with app.database.begin() as tx:
        standing = next((v for v in store.active(tx, app.tenant) if v.dimension == name), None)
        if standing is not None and standing.content_hash == own:
            return None
        saved = store.save(tx, app.tenant, name, source=source, content_hash=own, actor=person.id, now=now)
        detail: dict[str, object] = {"version": saved.version, "hash": own, "rules": len(preview.rules.rules)}
        audit.record(tx, AuditEntry(app.tenant, now, person.id, "allocation.apply", name, "done", "", detail))
    return saved


def _outcome(preview: Preview, saved: RulesVersion | None, *, dry: bool) -> str:
    name = preview.rules.dimension
    if saved:
        return f"Stored as version {saved.version} of {ALLOCATION}:{name} ({saved.content_hash[:12]})."
    if dry:
        return "Nothing was stored: this was a dry run."
    standing = preview.current
    return f"Nothing was stored: these rules count already{f' (version {standing.version})' if standing else ''}."


def _print_preview(preview: Preview) -> None:
    rules = preview.rules
    print(f"{rules.dimension}: {len(rules.rules)} rules, {len(rules.pools)} pools")
    if preview.period is not None:
        print(f"\n{preview.period}, {preview.metric.meaning}; shared cost included")
        moved = [
            (
                m.payer or NOBODY,
                money(m.before, m.currency),
                money(m.after, m.currency),
                _difference(m.before, m.after, m.currency),
            )
            for m in preview.moves
        ]
        print(table(("who pays", "before", "after", "difference"), moved, right=(1, 2, 3)))
        caught = [(_rule_name(h), _rule_target(h), h.raw_rows, _sums(h)) for h in preview.hits]
        print("\n" + table(("rule", "goes to", "lines", "cost"), caught, right=(2, 3)))
    for warning in preview.warnings:
        print(one_line(f"Note: {warning}."))


def _rule_name(hit: Hit) -> str:
    return hit.rule.name if hit.rule else "(no rule)"


def _rule_target(hit: Hit) -> str:
    return hit.rule.target if hit.rule else NOBODY


def _sums(hit: Hit) -> str:
    return ", ".join(money(cost, currency) for currency, cost in hit.costs) or "-"


def _difference(before: Decimal | None, after: Decimal | None, currency: str) -> str:
    if before is None or after is None:
        return "unknown"
    return ("+" if after > before else "") + money(after - before, currency)


def _preview_document(preview: Preview, saved: RulesVersion | None) -> dict[str, object]:
    return {
        "dimension": preview.rules.dimension,
        "stored": version_document(saved) if saved else None,
        "current": version_document(preview.current) if preview.current else None,
        "period": preview.period,
        "metric": preview.metric,
        "moves": [
            {"payer": m.payer, "currency": m.currency, "before": m.before, "after": m.after} for m in preview.moves
        ],
        "rules": [
            {
                "name": h.rule.name if h.rule else None,
                "target": h.rule.target if h.rule else None,
                "rows": h.raw_rows,
                "costs": [{"currency": c, "cost": cost} for c, cost in h.costs],
            }
            for h in preview.hits
        ],
        "warnings": preview.warnings,
    }


def version_document(version: RulesVersion) -> dict[str, object]:
    """A version without its source, as JSON has it."""
    return {
        "dimension": version.dimension,
        "version": version.version,
        "hash": version.content_hash,
        "by": version.actor,
        "at": version.at,
        "removed": version.removed,
    }


def show(args: Namespace) -> int:
    """The rules that count now (or an earlier version), as the file that was given."""
    app = open_app()
    with app.database.read() as tx:
        found = store.active(tx, app.tenant) if args.version is None else store.history(tx, app.tenant)
    found = tuple(
        v for v in found if args.dimension in {"", v.dimension} and args.version in {None, v.version} and not v.removed
    )
    if not found:
        raise NotFoundError(
            "No such allocation rules are stored.", fix="Store some: optiinfra allocation apply FILE --as USER"
        )
    if args.json:
        print_json({"rules": [version_document(v) | {"source": v.source} for v in found]})
        return 0
    for version in found:
        print(
            f"# {ALLOCATION}:{version.dimension}, version {version.version} by {version.actor}, {version.at:%Y-%m-%d %H:%M} UTC"
        )
        print("".join(c if c.isprintable() or c in "\n\t" else " " for c in version.source).rstrip() + "\n")
    return 0


def history(args: Namespace) -> int:
    """Every version: who stored it, when, and its hash."""
    app = open_app()
    with app.database.read() as tx:
        found = store.history(tx, app.tenant, args.dimension)
    if args.json:
        print_json({"versions": [version_document(v) for v in found]})
    elif not found:
        print("No allocation rules were ever stored. Store some with: optiinfra allocation apply FILE --as USER")
    else:
        rows = [
            (
                v.dimension,
                v.version,
                f"{v.at:%Y-%m-%d %H:%M} UTC",
                v.actor,
                v.content_hash[:12],
                "removed" if v.removed else "",
            )
            for v in found
        ]
        print(table(("dimension", "version", "stored", "by", "hash", ""), rows, right=(1,)))
    return 0


def remove(args: Namespace) -> int:
    """Take a dimension's rules out of use; every version stays in the history."""
    app = open_app()
    person = authorised(app, args.user, Permission.ALLOCATION_CHANGE, "a change of rules")
    now = app.now()
    with app.database.begin() as tx:
        standing = next((v for v in store.active(tx, app.tenant) if v.dimension == args.dimension), None)
        if standing is None:
            raise NotFoundError(f"There are no allocation rules called {args.dimension}.")
        gone = store.save(
            tx, app.tenant, args.dimension, source="", content_hash="", actor=person.id, now=now, removed=True
        )
        detail: dict[str, object] = {"version": gone.version, "was": standing.version}
        audit.record(
            tx, AuditEntry(app.tenant, now, person.id, "allocation.remove", args.dimension, "done", "", detail)
        )
    if args.json:
        print_json({"removed": version_document(gone)})
    else:
        print(f"{ALLOCATION}:{args.dimension} has no rules any more; version {standing.version} stays in the history.")
    return 0
