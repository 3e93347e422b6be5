"""Which Block Kit elements and composition objects Slack accepts, with their limits."""

from __future__ import annotations

from typing import Any

from sandbox.slack.rules import (
    Report,
    Rule,
    any_field,
    anything,
    array,
    boolean,
    both,
    integer,
    may,
    need,
    number,
    one_of,
    plain,
    record,
    string,
    text,
    typed,
)

ACTION_ID = string(255)
BUTTON_VALUE = string(2000)
URL = string(3000)

CONFIRM = record(
    {
        "title": need(plain(100)),
        "text": need(text(300)),
        "confirm": need(plain(30)),
        "deny": need(plain(30)),
        "style": may(one_of("primary", "danger")),
    }
)


def option(text_rule: Rule, *, url: bool = False) -> Rule:
    fields = {"text": need(text_rule), "value": need(string(150)), "description": may(text(75))}
    return record(fields | ({"url": may(URL)} if url else {}))


SELECT_OPTION = option(plain(75))
CHOICE_OPTION = option(text(75))
OPTION_GROUP = record({"label": need(plain(75)), "options": need(array(SELECT_OPTION, 1, 100))})
SLACK_FILE = record({"id": may(string()), "url": may(URL)})

COMMON = {"action_id": may(ACTION_ID), "confirm": may(CONFIRM), "focus_on_load": may(boolean)}
PLACEHOLDER = {"placeholder": may(plain(150))}
ONE_SELECT = COMMON | PLACEHOLDER
MANY_SELECT = ONE_SELECT | {"max_selected_items": may(integer(1))}
STATIC = {"options": may(array(SELECT_OPTION, 1, 100)), "option_groups": may(array(OPTION_GROUP, 1, 100))}
DISPATCH = {
    "dispatch_action_config": may(
        record({"trigger_actions_on": need(array(one_of("on_enter_pressed", "on_character_entered"), 1, 2))})
    )
}
TYPED_INPUT = {"action_id": may(ACTION_ID), "focus_on_load": may(boolean)} | PLACEHOLDER | DISPATCH


def _initial_is_an_option(report: Report, pointer: str, value: Any) -> None:
    offered = _offered(value)
    chosen = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    for entry in chosen if isinstance(chosen, list) else []:
        if isinstance(entry, dict) and entry.get("value") not in offered:
            report.add(pointer, "invalid_value", "initial option must be one of the options")


def _values_are_unique(report: Report, pointer: str, value: Any) -> None:
    values = _offered(value)
    if len(values) != len(set(map(str, values))):
        report.add(f"{pointer}/options", "duplicate_value", "option values must be unique")


def _offered(element: Any) -> list[Any]:
    groups = element.get("option_groups") or []
    inside = [o for group in groups if isinstance(group, dict) for o in group.get("options") or []]
    return [o.get("value") for o in [*(element.get("options") or []), *inside] if isinstance(o, dict)]


def _static(fields: dict[str, tuple[Rule, bool]]) -> Rule:
    return both(record(fields), any_field("options", "option_groups"), _initial_is_an_option, _values_are_unique)


IMAGE = both(
    record(
        {
            "image_url": may(URL),
            "slack_file": may(SLACK_FILE),
            "alt_text": need(string(2000)),
        }
    ),
    any_field("image_url", "slack_file"),
)

_CHOICES = COMMON | {"options": need(array(CHOICE_OPTION, 1, 10))}
_FEEDBACK = record({"text": need(plain(75)), "value": need(BUTTON_VALUE), "accessibility_label": may(string(75))})

ELEMENTS: dict[str, Rule] = {
    "button": record(
        {
            "text": need(plain(75)),
            "action_id": may(ACTION_ID),
            "url": may(URL),
            "value": may(BUTTON_VALUE),
            "style": may(one_of("primary", "danger")),
            "confirm": may(CONFIRM),
            "accessibility_label": may(string(75)),
        }
    ),
    "overflow": both(
        record(
            {
                "action_id": may(ACTION_ID),
                "options": need(array(option(plain(75), url=True), 1, 5)),
                "confirm": may(CONFIRM),
            }
        ),
        _values_are_unique,
    ),
    "static_select": _static(ONE_SELECT | STATIC | {"initial_option": may(SELECT_OPTION)}),
    "multi_static_select": _static(MANY_SELECT | STATIC | {"initial_options": may(array(SELECT_OPTION, 1, 100))}),
    "external_select": record(ONE_SELECT | {"initial_option": may(SELECT_OPTION), "min_query_length": may(integer(0))}),
    "multi_external_select": record(
        MANY_SELECT | {"initial_options": may(array(SELECT_OPTION, 1, 100)), "min_query_length": may(integer(0))}
    ),
    "users_select": record(ONE_SELECT | {"initial_user": may(string())}),
    "multi_users_select": record(MANY_SELECT | {"initial_users": may(array(string(), 1))}),
    "conversations_select": record(
        ONE_SELECT
        | {
            "initial_conversation": may(string()),
            "default_to_current_conversation": may(boolean),
            "response_url_enabled": may(boolean),
            "filter": may(anything),
        }
    ),
    "multi_conversations_select": record(
        MANY_SELECT
        | {
            "initial_conversations": may(array(string(), 1)),
            "default_to_current_conversation": may(boolean),
            "filter": may(anything),
        }
    ),
    "channels_select": record(ONE_SELECT | {"initial_channel": may(string()), "response_url_enabled": may(boolean)}),
    "multi_channels_select": record(MANY_SELECT | {"initial_channels": may(array(string(), 1))}),
    "datepicker": record(ONE_SELECT | {"initial_date": may(string(10))}),
    "timepicker": record(ONE_SELECT | {"initial_time": may(string(5)), "timezone": may(string())}),
    "datetimepicker": record(COMMON | {"initial_date_time": may(integer(0))}),
    "checkboxes": both(
        record(_CHOICES | {"initial_options": may(array(CHOICE_OPTION, 1, 10))}),
        _initial_is_an_option,
        _values_are_unique,
    ),
    "radio_buttons": both(
        record(_CHOICES | {"initial_option": may(CHOICE_OPTION)}), _initial_is_an_option, _values_are_unique
    ),
    "plain_text_input": record(
        TYPED_INPUT
        | {
            "initial_value": may(string(minimum=0)),
            "multiline": may(boolean),
            "min_length": may(integer(0, 3000)),
            "max_length": may(integer(1, 3000)),
        }
    ),
    "email_text_input": record(TYPED_INPUT | {"initial_value": may(string(minimum=0))}),
    "url_text_input": record(TYPED_INPUT | {"initial_value": may(string(minimum=0))}),
    "number_input": record(
        TYPED_INPUT
        | {
            "is_decimal_allowed": need(boolean),
            "initial_value": may(string()),
            "min_value": may(string()),
            "max_value": may(string()),
        }
    ),
    "rich_text_input": record(TYPED_INPUT | {"initial_value": may(anything)}),
    "file_input": record(
        {"action_id": may(ACTION_ID), "filetypes": may(array(string(), 1)), "max_files": may(integer(1, 10))}
    ),
    "workflow_button": record(
        {
            "text": need(plain(75)),
            "workflow": need(anything),
            "action_id": may(ACTION_ID),
            "style": may(one_of("primary", "danger")),
            "accessibility_label": may(string(75)),
        }
    ),
    "image": IMAGE,
    "feedback_buttons": record(
        {"action_id": may(ACTION_ID), "positive_button": need(_FEEDBACK), "negative_button": need(_FEEDBACK)}
    ),
    "icon_button": record(
        {
            "action_id": may(ACTION_ID),
            "icon": need(one_of("trash")),
            "text": need(plain(75)),
            "accessibility_label": may(string(75)),
            "value": may(BUTTON_VALUE),
            "visible_to_user_ids": may(array(string(), 1, 10)),
            "confirm": may(CONFIRM),
        }
    ),
    "plain_text": text(2000, "plain_text"),
    "mrkdwn": text(2000, "mrkdwn"),
}

SELECTS = ("static_select", "external_select", "users_select", "conversations_select", "channels_select")
MULTI_SELECTS = tuple(f"multi_{name}" for name in SELECTS)
IN_ACTIONS = (
    "button", "overflow", "checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker",
    "workflow_button", *SELECTS,
)  # fmt: skip
IN_SECTION = (
    "button", "overflow", "checkboxes", "radio_buttons", "datepicker", "timepicker", "workflow_button", "image",
    *SELECTS, *MULTI_SELECTS,
)  # fmt: skip
IN_INPUT = (
    "plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input",
    "checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker", *SELECTS, *MULTI_SELECTS,
)  # fmt: skip
IN_CONTEXT = ("image", "plain_text", "mrkdwn")
IN_CONTEXT_ACTIONS = ("feedback_buttons", "icon_button")
IN_CARD = ("button",)


def elements(names: tuple[str, ...], what: str) -> Rule:
    return typed({name: ELEMENTS[name] for name in names}, what)


_STYLE = record(
    {
        name: may(boolean)
        for name in ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink")
    }
)
_STYLED = {"style": may(_STYLE)}
RICH_INLINE = typed(
    {
        "text": record(_STYLED | {"text": need(string())}),
        "link": record(_STYLED | {"url": need(URL), "text": may(string()), "unsafe": may(boolean)}),
        "user": record(_STYLED | {"user_id": need(string())}),
        "usergroup": record(_STYLED | {"usergroup_id": need(string())}),
        "channel": record(_STYLED | {"channel_id": need(string())}),
        "emoji": record(_STYLED | {"name": need(string()), "unicode": may(string()), "url": may(URL)}),
        "broadcast": record(_STYLED | {"range": need(one_of("here", "channel", "everyone"))}),
        "date": record(
            _STYLED | {"timestamp": need(number), "format": need(string()), "url": may(URL), "fallback": may(string())}
        ),
        "color": record(_STYLED | {"value": need(string())}),
    },
    "rich text element",
)
_INLINE = array(RICH_INLINE)
_SECTION = record({"elements": need(_INLINE)})
_BORDER = {"border": may(integer(0, 1))}
RICH_TEXT = record(
    {
        "block_id": may(string(255)),
        "elements": need(
            array(
                typed(
                    {
                        "rich_text_section": _SECTION,
                        "rich_text_preformatted": record(
                            _BORDER | {"elements": need(_INLINE), "language": may(string())}
                        ),
                        "rich_text_quote": record(_BORDER | {"elements": need(_INLINE)}),
                        "rich_text_list": record(
                            _BORDER
                            | {
                                "style": need(one_of("bullet", "ordered")),
                                "indent": may(integer(0, 8)),
                                "offset": may(integer(0)),
                                "elements": need(array(typed({"rich_text_section": _SECTION}, "list item"), 1)),
                            }
                        ),
                    },
                    "rich text container",
                ),
                1,
            )
        ),
    },
    kind="rich_text",
)
