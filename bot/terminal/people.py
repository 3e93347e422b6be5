"""`optiinfra people ...` and `optiinfra audit ...`: who may do what, and the record of who did what."""

from __future__ import annotations

import argparse

from bot.app import open_app
from bot.terminal.output import print_json, table
from tools.model.access import Role
from tools.model.audit import AuditEntry
from tools.model.errors import InputError
from tools.store import audit
from tools.store import people as _people


def listing(args: argparse.Namespace) -> int:
    """Everybody with role and Slack user."""
    app = open_app()
    with app.database.read() as tx:
        found = _people.listing(tx, app.tenant)
    if args.json:
        print_json({"people": found})
    elif not found:
        print("Nobody is known yet. Add somebody with: optiinfra people set E-MAIL ROLE")
    else:
        rows = [(p.email, p.name, p.role, p.slack_user or "-", "yes" if p.active else "no") for p in found]
        print(table(("e-mail", "name", "role", "slack user", "active"), rows))
    return 0


def assign(args: argparse.Namespace) -> int:
    """Add a person or change a role; the change stands in the audit record."""
    app = open_app()
    now = app.now()
    team, _, user = args.slack.partition("/")
    if args.slack and not (team and user):
        raise InputError(
            f"{args.slack} does not say which workspace the user belongs to.",
            fix="Write it as T0TEAM/U0USER, or leave it out: people are found by their e-mail in Slack.",
        )
    with app.database.begin() as tx:
        saved = _people.save(
            tx, app.tenant, args.email, Role(args.role), name=args.name, slack_team=team, slack_user=user, now=now
        )
        detail: dict[str, object] = {"role": args.role, "slack": args.slack}
        entry = AuditEntry(app.tenant, now, "terminal", "people.set", saved.email, "done", "", detail)
        audit.record(tx, entry)
    if args.json:
        print_json({"person": saved})
    else:
        print(f"{saved.email} ({saved.name}) is {saved.role} now.")
    return 0


def audit_verify(args: argparse.Namespace) -> int:
    """Exit 0 when every record is as it was written; 1 naming the first that is not."""
    app = open_app()
    with app.database.read() as tx:
        result = audit.verify(tx, app.tenant)
    if args.json:
        print_json({"records": result.records, "head": result.head, "problems": result.problems})
    elif result.problems:
        print("\n".join(result.problems))
    else:
        print(f"All {result.records} records are as they were written. The last one is {result.head[:16]}.")
    return 1 if result.problems else 0


def audit_export(args: argparse.Namespace) -> int:
    """Every record in order: a document with --json, else one line each."""
    app = open_app()
    with app.database.read() as tx:
        records = audit.records(tx, app.tenant)
        if args.json:
            print_json({"records": [_document(record) for record in records]})
            return 0
        for record in records:
            entry = record.entry
            reason = f" ({entry.reason})" if entry.reason else ""
            print(
                f"{record.seq}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.actor}  {entry.action}  {entry.subject}  "
                f"{entry.outcome}{reason}  {record.hash[:16]}"
            )
    return 0


def _document(record: audit.Record) -> dict[str, object]:
    entry = record.entry
    return {
        "seq": record.seq,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "detail": entry.detail,
        "hash": record.hash,
    }
