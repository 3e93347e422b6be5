"""One of each block and element that the product may use, all within Slack's limits."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(label: str, action_id: str, **more: Any) -> Json:
    return {"type": "button", "text": plain(label), "action_id": action_id, **more}


def option(label: str, value: str, **more: Any) -> Json:
    return {"text": plain(label), "value": value, **more}


def rich(text: str) -> Json:
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}],
    }


DAYS = ["9 Nov", "10 Nov", "11 Nov", "12 Nov", "13 Nov", "14 Nov", "15 Nov"]


def series(name: str, *values: float) -> Json:
    return {"name": name, "data": [{"label": day, "value": value} for day, value in zip(DAYS, values, strict=True)]}


def chart(kind: str, title: str, *lines: Json) -> Json:
    axis = {"categories": DAYS, "x_label": "November 2026", "y_label": "USD"}
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": kind, "series": list(lines), "axis_config": axis},
    }


LINE = chart(
    "line",
    "Daily cost, actual and expected",
    series("Actual", 4120, 4180, 4390, 4980, 5120, 4890, 4812),
    series("Expected", 4100, 4150, 4200, 4230, 4240, 4210, 4190),
)
BARS = chart(
    "bar",
    "EC2 by environment",
    series("production", 1900, 1950, 2010, 2500, 2600, 2450, 2400),
    series("staging", 400, 380, 420, 410, 430, 200, 190),
)
PIE: Json = {
    "type": "data_visualization",
    "title": "Where it goes",
    "chart": {
        "type": "pie",
        "segments": [
            {"label": "Amazon EC2", "value": 2400},
            {"label": "Amazon RDS", "value": 1100},
            {"label": "Amazon S3", "value": 640},
            {"label": "Other", "value": 672.5},
        ],
    },
}
MOVERS: Json = {
    "type": "data_table",
    "caption": "Top movers, 9-15 Nov against the week before",
    "page_size": 3,
    "rows": [
        [{"type": "raw_text", "text": name} for name in ("Service", "Account", "Change")],
        *(
            [
                {"type": "raw_text", "text": service},
                {"type": "raw_text", "text": account},
                {"type": "raw_number", "value": value, "text": f"{value:+,.2f}"},
            ]
            for service, account, value in (
                ("Amazon EC2", "production", 1284.5),
                ("Amazon RDS", "production", 210.25),
                ("AWS Lambda", "data", 95.0),
                ("Amazon S3", "data", -42.1),
                ("Amazon CloudWatch", "staging", -3.75),
            )
        ),
    ],
}
TASKS = [
    {"type": "task_card", "task_id": "pre", "title": "Pre-checks", "status": "complete", "output": rich("Capacity is there, plan unchanged.")},
    {"type": "task_card", "task_id": "p10", "title": "10 % (2 of 20)", "status": "complete"},
    {"type": "task_card", "task_id": "p50", "title": "50 % (6 of 10)", "status": "in_progress", "details": rich("p95 212 ms (limit 230)")},
    {"type": "task_card", "task_id": "p100", "title": "100 %", "status": "pending"},
]  # fmt: skip
CARDS = {
    "type": "carousel",
    "elements": [
        {
            "type": "card",
            "title": mrkdwn(f"*{service}* +${amount:,}"),
            "subtitle": mrkdwn("since 12 Nov, prod-eu"),
            "body": mrkdwn("Twice as many instances of checkout-workers since Thursday."),
            "actions": [button("Investigate", f"look.{service}", value=service), button("Expected…", f"ok.{service}")],
        }
        for service, amount in (("EC2", 1284), ("RDS", 210), ("Lambda", 95))
    ],
}
CARD: list[Json] = [
    {"type": "header", "text": plain("Move checkout-workers: m5.2xlarge → m7g.xlarge")},
    {
        "type": "section",
        "text": mrkdwn("Saves *$1,284.00 a month* (38 %), confidence 0.86, risk low · owner <@U0BEN> · `prod-eu`"),
        "accessory": {
            "type": "overflow",
            "action_id": "more",
            "options": [option("Why", "why"), option("Show plan", "plan"), option("Dismiss…", "dismiss")],
        },
    },
    {
        "type": "section",
        "fields": [
            mrkdwn("*CPU p95*\n11 % (30 days)"),
            mrkdwn("*Memory p95*\n41 %"),
            mrkdwn("*Way back*\nunder 2 min, tested 12 Nov"),
            mrkdwn("*Needs*\n1 approver, not the requester"),
        ],
    },
    {
        "type": "actions",
        "elements": [
            button(
                "Approve 10 %",
                "rollout.approve",
                value="r-142:v7:10",
                style="primary",
                confirm={
                    "title": plain("Change 2 of 20 instances?"),
                    "text": mrkdwn("*checkout-workers* in eu-west-1. It goes back by itself if a gate fails."),
                    "confirm": plain("Approve"),
                    "deny": plain("Not now"),
                },
            ),
            button("Dry run", "rollout.dry_run", value="r-142:v7"),
            button("Reject…", "rollout.reject", value="r-142:v7", style="danger"),
            {
                "type": "static_select",
                "action_id": "snooze",
                "placeholder": plain("Snooze"),
                "options": [option("7 days", "7"), option("30 days", "30")],
            },
        ],
    },
    {"type": "context", "elements": [mrkdwn("plan v3 · expires <!date^1795453200^{date_short_pretty} {time}|18:00 UTC>"), mrkdwn("approvers: finops")]},
]  # fmt: skip
PLAN: Json = {"type": "plan", "title": "Rollout r-142, 50 %", "tasks": TASKS}
FEEDBACK: Json = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": {"text": plain("Good answer"), "value": "good"},
            "negative_button": {"text": plain("Bad answer"), "value": "bad"},
        },
        {"type": "icon_button", "action_id": "remove", "icon": "trash", "text": plain("Remove")},
    ],
}
MARKDOWN: Json = {
    "type": "markdown",
    "text": (
        "## Why EC2 rose\n\n**EC2 cost rose by 26 %**, mostly in *production*:\n\n"
        "1. `checkout-workers` doubled on 12 Nov\n2. Spot share fell\n   - from 40 %\n   - to 25 %\n\n"
        "> Prices did not change.\n\n| Cause | USD |\n| --- | --- |\n| Usage | 1,100 |\n| Price | 184 |\n\n"
        "See [the receipt](https://example.com/receipt)."
    ),
}
TABLE: Json = {
    "type": "table",
    "rows": [
        [{"type": "raw_text", "text": "Gate"}, {"type": "raw_text", "text": "Seen"}, {"type": "raw_text", "text": "Verdict"}],
        [{"type": "raw_text", "text": "p95 latency"}, {"type": "raw_number", "value": 212, "text": "212 ms"}, rich("HEALTHY")],
        [{"type": "raw_text", "text": "errors"}, {"type": "raw_number", "value": 0.2, "text": "0.2 %"}, rich("HEALTHY")],
    ],
}  # fmt: skip
RICH: Json = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "Bold", "style": {"bold": True}},
                {"type": "text", "text": ", a link to "},
                {"type": "link", "url": "https://example.com", "text": "the bill"},
                {"type": "text", "text": " and "},
                {"type": "user", "user_id": "U0CARLA"},
                {"type": "emoji", "name": "tada"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": t}]} for t in ("one", "two")
            ],
        },
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "SELECT sum(billed_cost)"}]},
    ],
}
CONTAINER: Json = {
    "type": "container",
    "title": plain("How this was calculated"),
    "subtitle": plain("Receipt q-77"),
    "is_collapsible": True,
    "child_blocks": [{"type": "section", "text": mrkdwn("Read 4,212 rows in 41 ms.")}, {"type": "divider"}],
}
ANSWER: list[Json] = [MARKDOWN, LINE, MOVERS, FEEDBACK]
MESSAGES: dict[str, list[Json]] = {
    "card": CARD,
    "plan": [PLAN, TABLE],
    "answer": ANSWER,
    "charts": [PIE, BARS],
    "carousel": [CARDS],
    "rich": [
        RICH,
        CONTAINER,
        {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "A chart of cost"},
    ],
    "tasks": TASKS[:2],
}


def field(label: str, block_id: str, element: Json, **more: Any) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element, **more}


FORM: Json = {
    "type": "modal",
    "callback_id": "rollback",
    "title": plain("Roll back r-142"),
    "submit": plain("Roll back"),
    "close": plain("Keep going"),
    "private_metadata": "r-142",
    "blocks": [
        {"type": "alert", "level": "warning", "text": mrkdwn("*12 instances* go back to m5.2xlarge now.")},
        {"type": "section", "text": mrkdwn("Everybody in the thread sees the reason.")},
        field(
            "Reason",
            "reason",
            {"type": "plain_text_input", "action_id": "text", "multiline": True, "min_length": 10, "placeholder": plain("At least ten characters")},
            hint=plain("Goes into the audit."),
        ),
        field("Scope", "scope", {"type": "radio_buttons", "action_id": "pick", "options": [option("All stages", "all"), option("Last stage only", "last")]}),
        field("Tell", "tell", {"type": "multi_users_select", "action_id": "who"}, optional=True),
        field("How sure", "sure", {"type": "number_input", "action_id": "n", "is_decimal_allowed": False, "min_value": "1", "max_value": "5"}, optional=True),
        field("Not before", "day", {"type": "datepicker", "action_id": "date"}, optional=True),
        field("Team", "team", {"type": "static_select", "action_id": "pick", "options": [option("Checkout", "checkout"), option("Search", "search")]}, optional=True),
        field("Also", "also", {"type": "checkboxes", "action_id": "pick", "options": [option("Open a ticket", "ticket"), option("Freeze changes", "freeze")]}, optional=True),
        field("Link", "link", {"type": "url_text_input", "action_id": "url"}, optional=True),
        field("E-mail", "mail", {"type": "email_text_input", "action_id": "mail"}, optional=True),
    ],
}  # fmt: skip
HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("Your cloud cost")},
        {"type": "section", "fields": [mrkdwn("*Yesterday*\n$4,812.00"), mrkdwn("*This month*\n$71,300.00"), mrkdwn("*Forecast*\n$142,900.00"), mrkdwn("*Saved*\n$1,284.00")]},
        LINE,
        {"type": "header", "text": plain("Waiting for you")},
        {"type": "section", "text": mrkdwn("*checkout-workers* → m7g.xlarge"), "accessory": button("Open", "home.open", value="r-142")},
        {"type": "divider"},
        CARDS,
        MOVERS,
        {"type": "context", "elements": [mrkdwn("Data as of 15 Nov, complete for AWS and GCP.")]},
    ],
}  # fmt: skip
