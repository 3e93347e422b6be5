"""What a person puts into an element: a plain value becomes Slack's action or state value, or a refusal in the form."""

from __future__ import annotations

from typing import Any

from sandbox.slack.workspace import Json, SlackError

STATE_FIELD = {
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
    "rich_text_input": "rich_text_value",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "file_input": "files",
}
INITIAL_FIELD = {
    "value": "initial_value",
    "rich_text_value": "initial_value",
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    "selected_user": "initial_user",
    "selected_users": "initial_users",
    "selected_conversation": "initial_conversation",
    "selected_conversations": "initial_conversations",
    "selected_channel": "initial_channel",
    "selected_channels": "initial_channels",
    "selected_date": "initial_date",
    "selected_time": "initial_time",
    "selected_date_time": "initial_date_time",
    "files": "initial_files",
}


def options_of(element: Json) -> list[Json]:
    groups = element.get("option_groups") or []
    return [*element.get("options", []), *(option for group in groups for option in group["options"])]


def pick(element: Json, value: Any) -> Json:
    """The option with this value (or this label); it must be one of those that are shown."""
    for option in options_of(element):
        if value in (option["value"], option["text"]["text"]):
            return {"text": option["text"], "value": option["value"]}
    raise SlackError("option_not_found")


def state_value(element: Json, value: Any) -> Json:
    """Slack's state value of one input: {"type": ..., and the field that its type uses}."""
    kind = element["type"]
    name = STATE_FIELD[kind]
    if value is None or value in ("", []):
        value = [] if name.endswith("s") and name != "files" else None
    elif name == "selected_option" and kind != "external_select":
        value = pick(element, value)
    elif name == "selected_options" and kind != "multi_external_select":
        value = [pick(element, entry) for entry in (value if isinstance(value, list) else [value])]
    elif name == "selected_date_time":
        value = int(value)
    elif name.endswith("s") and not isinstance(value, list):
        value = [value]
    elif name in ("value", "selected_date", "selected_time"):
        value = str(value)
    return {"type": kind, name: value}


def initial_state(element: Json) -> Json:
    """The state value of an input that nobody touched."""
    name = STATE_FIELD[element["type"]]
    missing: Any = [] if name in ("selected_options", "selected_users") else None
    return {"type": element["type"], name: element.get(INITIAL_FIELD[name], missing)}


def form_problem(block: Json, state: Json) -> str | None:
    """What Slack's own form would say about this input before sending it anywhere."""
    element, value = block["element"], state[STATE_FIELD[block["element"]["type"]]]
    if value in (None, "", []):
        return None if block.get("optional") else "Please complete this required field."
    shortest, longest = element.get("min_length"), element.get("max_length", 3000)
    if element["type"] == "plain_text_input" and shortest and len(value) < shortest:
        return f"Must be at least {shortest} characters."
    if element["type"] == "plain_text_input" and len(value) > longest:
        return f"Must be at most {longest} characters."
    if element["type"] == "number_input":
        return _number_problem(element, value)
    if element["type"] == "email_text_input" and "@" not in value:
        return "Enter a valid e-mail address."
    if element["type"] == "url_text_input" and not value.startswith(("http://", "https://")):
        return "Enter a valid URL."
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Enter a number."
    if not element.get("is_decimal_allowed") and "." in value:
        return "Enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Enter a number of at least {element['min_value']}."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Enter a number of at most {element['max_value']}."
    return None


def action(element: Json, block_id: str, value: Any, action_ts: str) -> Json:
    """The entry of `actions` that using this element sends."""
    done: Json = {"type": element["type"], "action_id": element["action_id"], "block_id": block_id}
    done["action_ts"] = action_ts
    if element["type"] in ("button", "icon_button", "workflow_button"):
        if "text" in element:
            done["text"] = element["text"]
        if value is not None or "value" in element:
            done["value"] = value if value is not None else element["value"]
        if "style" in element:
            done["style"] = element["style"]
        return done
    if element["type"] == "feedback_buttons":
        done["value"] = _feedback(element, value)
        return done
    return done | state_value(element, value)


def _feedback(element: Json, value: Any) -> str:
    for button in (element["positive_button"], element["negative_button"]):
        if value in (button["value"], button["text"]["text"]):
            return str(button["value"])
    raise SlackError("option_not_found")
