"""Asking: one question, or a file of them, through the same mind as Slack."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app import App, open_app
from bot.terminal.output import covered, jsonable, money, print_json, table
from tools.model.errors import InputError
from tools.model.query import Metric

if TYPE_CHECKING:
    from agent.answer import Answer, Question
    from tools.model.fact import Table

_UNDERSTOOD = {"answered"}


def ask(args: Namespace) -> int:
    """Answer TEXT, or every line of --batch; 1 when a single question was refused or not understood."""
    if bool(args.text) == bool(args.batch):
        raise InputError("Give one question or --batch FILE.", fix='For example: optiinfra ask "what did we spend?"')
    with closing(open_app()) as app:
        if args.batch:
            return _batch(app, args)
        answer = app.mind.ask(_question(app, args, {"text": args.text}))
    if args.json:
        print_json(answer_document(answer))
    else:
        print(answer_text(answer))
    return 0 if str(answer.status) in _UNDERSTOOD else 1


def _batch(app: App, args: Namespace) -> int:
    for line in _lines(args.batch):
        answer = app.mind.ask(_question(app, args, line))
        if args.json:
            document = {"id": line.get("id"), **answer_document(answer)}
            print(json.dumps(jsonable(document), ensure_ascii=False), flush=True)
        else:
            print(f"{line.get('id', '')}> {line['text']}\n{answer_text(answer)}\n", flush=True)
    return 0


def _lines(name: str) -> Iterator[dict[str, object]]:
    """The questions of a JSONL file ('-' is standard input); a line that is none stops with its number."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {error}.") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("text"), str):
            raise InputError(
                f"Line {number} of {name} is no question.",
                fix='Write each as {"id": "q1", "text": "what did we spend?"}.',
            )
        found.append(document)
    yield from found


def _question(app: App, args: Namespace, line: dict[str, object]) -> Question:
    from agent.answer import Question

    today = args.today or _day(line.get("today")) or app.now().date()
    return Question(
        str(line["text"]),
        app.person(str(line.get("as") or args.user or "")),
        today,
        thread=str(line.get("thread") or args.thread or ""),
        offline=bool(args.no_llm),
    )


def _day(value: object) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"{value} is not a day.", fix="Write it as 2026-11-23.") from None


def answer_document(answer: Answer) -> dict[str, object]:
    """An answer in the shape of docs/commands.md."""
    return {
        "status": answer.status,
        "answer": answer.text,
        "query": answer.query,
        "facts": [
            {
                "id": f.id,
                "label": f.label,
                "entity": f.entity,
                "value": f.value,
                "unit": f.unit,
                "currency": f.currency or None,
                "period": {"start": f.period.start, "end": f.period.end} if f.period else None,
                "metric": f.metric or None,
                "receipt": {
                    "sql": f.receipt.sql,
                    "parameters": dict(f.receipt.parameters),
                    "rows": f.receipt.rows,
                    "as_of": f.receipt.as_of,
                },
            }
            for f in answer.facts
        ],
        "tables": answer.tables,
        "charts": answer.charts,
        "assumptions": answer.assumptions,
        "alternatives": answer.alternatives,
        "notes": answer.notes,
        "comments": answer.comments,
        "coverage": answer.coverage,
        "planner": {"source": answer.planner_source, "confidence": answer.confidence},
        "rollout_id": answer.rollout_id,
        "elapsed_ms": answer.elapsed_ms,
    }


def answer_text(answer: Answer) -> str:
    """An answer for reading on a terminal."""
    parts = [answer.text]
    parts += [_table(t) for t in answer.tables]
    small = list(answer.comments)
    small += [f"Note: {n}" for n in answer.notes]
    small += [f"Assumed: {a}." for a in answer.assumptions]
    metric = answer.query.get("metric")
    if metric and answer.facts:
        small.append(f"Counted: {Metric(str(metric)).meaning}.")
    if answer.facts:
        # What is missing stands in the notes already, where a tool told it there.
        noted = any(n.startswith("Missing: ") for n in answer.notes)
        small.append(covered(replace(answer.coverage, missing=()) if noted else answer.coverage))
    if small:
        parts.append("\n".join(small))
    if answer.alternatives:
        parts.append("You could ask:\n" + "\n".join(f"  {question}" for question in answer.alternatives))
    return "\n\n".join(_printable(part) for part in parts)


def _printable(text: str) -> str:
    """A name from a bill must not drive the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _table(shown: Table) -> str:
    right = [n for n, unit in enumerate(shown.units) if unit != "text"]
    rows = [
        [_cell(cell, unit, shown.currency) for cell, unit in zip(row, shown.units, strict=True)] for row in shown.rows
    ]
    return f"{shown.title}\n{table(shown.columns, rows, right=right)}"


def _cell(cell: str | Decimal | None, unit: str, currency: str) -> str | Decimal | None:
    return money(cell, currency) if unit == "money" and not isinstance(cell, str) else cell
