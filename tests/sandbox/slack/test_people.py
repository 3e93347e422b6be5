"""What people do in the workspace, as the control API lets tests and the page do it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from sandbox.slack.client import SandboxRefusedError
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.sandbox.slack.app import Heard
from tests.sandbox.slack.gallery import CARD, CARDS, FEEDBACK, FORM, HOME, button, field, mrkdwn, option, plain

Json = dict[str, Any]


@pytest.fixture
def card(web: WebClient) -> Json:
    """A card with buttons in #cloud-costs."""
    sent = web.chat_postMessage(channel="C0COSTS", text="A card", blocks=[*CARD, FEEDBACK, CARDS])
    return {"channel": "C0COSTS", "ts": sent["ts"]}


def test_what_people_type_is_stored_as_slack_stores_it(workspace: SlackWorkspace) -> None:
    """Escaped, with names, channels and links encoded; control sequences that were typed as such stay."""
    workspace.say("priya", "#cloud-costs", "@ben & @nobody: <b> #random #nowhere https://x.example/?a=1&b=2 <@U0CARLA>")
    message = workspace.transcript("cloud-costs")[0]
    assert message["text"] == (
        "<@U0BEN> &amp; @nobody: &lt;b&gt; <#C0RANDOM|random> #nowhere <https://x.example/?a=1&amp;b=2> <@U0CARLA>"
    )
    assert message["rendered"] == "@ben & @nobody: <b> #random #nowhere https://x.example/?a=1&b=2 @carla"
    assert message["blocks"][0]["type"] == "rich_text"


def test_who_may_be_where(workspace: SlackWorkspace) -> None:
    """Olga sees only the shared channel, Gus only ours; unknown people and places are told."""
    workspace.say("olga", "partner-lumen", "hello")
    workspace.say("gus", "cloud-costs", "hello")
    for user, channel, error in (
        ("olga", "cloud-costs", "not_in_channel"),
        ("gus", "partner-lumen", "not_in_channel"),
        ("ben", "dm:priya", "not_in_channel"),
        ("olga", "dm:olga", "channel_not_found"),
        ("ben", "nowhere", "channel_not_found"),
        ("nobody", "cloud-costs", "user_not_found"),
    ):
        with pytest.raises(SandboxRefusedError) as caught:
            workspace.say(user, channel, "x")
        assert caught.value.error == error
    with pytest.raises(SandboxRefusedError, match="no_text"):
        workspace.say("ben", "cloud-costs", "  ")
    with pytest.raises(SandboxRefusedError, match="missing required field: text"):
        workspace.say("ben", "cloud-costs", "")


def test_the_app_must_be_invited(workspace: SlackWorkspace, heard: Heard) -> None:
    """A mention where the app is not goes unheard, with a hint; after /invite it is heard."""
    workspace.say("ben", "random", "@optiinfra hello?")
    hint = workspace.wait_for(lambda m: m["ephemeral_to"] == "U0BEN")
    assert "/invite @optiinfra" in hint["text"]
    workspace.command("ben", "random", "/invite", "@optiinfra")
    workspace.say("ben", "random", "@optiinfra hello again")
    assert workspace.until(lambda: heard.texts("app_mention")) == ["<@U0OPTIINFRA> hello again"]


def test_a_mention_in_a_thread_says_so(workspace: SlackWorkspace, heard: Heard) -> None:
    """Both subscribed events arrive, with the thread and its parent's author, under different event ids."""
    top = workspace.say("priya", "cloud-costs", "first")
    workspace.say("ben", "cloud-costs", "@optiinfra second", thread_ts=top)
    mention = workspace.until(lambda: heard.events("app_mention"))[0]
    assert (mention["thread_ts"], mention["parent_user_id"], mention["user"]) == (top, "U0PRIYA", "U0BEN")
    assert "channel_type" not in mention
    message = workspace.until(lambda: [e for e in heard.events("message") if e.get("thread_ts") == top])[0]
    assert (message["ts"], message["channel_type"]) == (mention["ts"], "channel")
    workspace.until(lambda: len(heard.bodies) == 3)
    assert len({body["event_id"] for body in heard.bodies}) == 3


def test_a_partner_is_recognisable(workspace: SlackWorkspace, web: WebClient, heard: Heard) -> None:
    """Olga's messages and clicks carry her own team."""
    workspace.say("olga", "partner-lumen", "@optiinfra what do you cost?")
    body = workspace.until(lambda: [b for b in heard.bodies if b["event"]["type"] == "app_mention"])[0]
    assert (body["team_id"], body["event"]["user_team"], body["is_ext_shared_channel"]) == (
        "T0LUMEN",
        "T0PARTNER",
        True,
    )
    sent = web.chat_postMessage(channel="C0PARTNER", text="x", blocks=CARD)
    workspace.click("olga", "partner-lumen", sent["ts"], "rollout.dry_run")
    click = workspace.until(lambda: heard.actions)[0]
    assert (click["user"]["team_id"], click["team"]["id"]) == ("T0PARTNER", "T0LUMEN")


def test_edits_and_deletions_are_heard(workspace: SlackWorkspace, heard: Heard) -> None:
    """message_changed and message_deleted; nobody edits what another wrote."""
    ts = workspace.say("ben", "cloud-costs", "frist")
    workspace.edit("ben", "cloud-costs", ts, "first")
    changed = workspace.until(lambda: [e for e in heard.events("message") if e.get("subtype") == "message_changed"])[0]
    assert (changed["message"]["text"], changed["previous_message"]["text"]) == ("first", "frist")
    with pytest.raises(SandboxRefusedError, match="cant_update_message"):
        workspace.edit("dan", "cloud-costs", ts, "mine now")
    workspace.edit("ben", "cloud-costs", ts, None)
    workspace.until(lambda: [e for e in heard.events("message") if e.get("subtype") == "message_deleted"])
    assert workspace.transcript("cloud-costs") == []


def test_a_click_carries_what_slack_sends(workspace: SlackWorkspace, heard: Heard, card: Json) -> None:
    """Who, where, which message, the element's own value, and a way to answer."""
    workspace.click("carla", "cloud-costs", card["ts"], "rollout.approve")
    body = workspace.until(lambda: heard.actions)[0]
    assert body["user"] == {"id": "U0CARLA", "username": "carla", "name": "carla", "team_id": "T0LUMEN"}
    assert body["container"] == {
        "type": "message",
        "message_ts": card["ts"],
        "channel_id": "C0COSTS",
        "is_ephemeral": False,
    }
    assert body["channel"] == {"id": "C0COSTS", "name": "cloud-costs"}
    assert body["message"]["ts"] == card["ts"]
    assert (body["actions"][0]["value"], body["actions"][0]["type"]) == ("r-142:v7:10", "button")
    assert body["response_url"].startswith(workspace.url)
    assert body["trigger_id"]
    assert list(body["state"]["values"].values()) == [{"snooze": {"type": "static_select", "selected_option": None}}]


def test_each_kind_of_element_sends_its_own_value(workspace: SlackWorkspace, heard: Heard, card: Json) -> None:
    """Menus send the option that was chosen; feedback sends its side; a given value overrides a button's."""
    ts = card["ts"]
    assert workspace.click("ben", "cloud-costs", ts, "more", "plan")["selected_option"]["value"] == "plan"
    assert workspace.click("ben", "cloud-costs", ts, "snooze", "7 days")["selected_option"]["value"] == "7"
    assert workspace.click("ben", "cloud-costs", ts, "feedback", "bad")["value"] == "bad"
    assert workspace.click("ben", "cloud-costs", ts, "look.RDS")["value"] == "RDS"
    assert workspace.press("ben", card, "rollout.dry_run", "r-142:v1")["value"] == "r-142:v1"
    workspace.until(lambda: len(heard.actions) == 5)


def test_only_what_is_there_can_be_clicked(workspace: SlackWorkspace, web: WebClient, card: Json) -> None:
    """Unknown elements and options, and buttons of a card that has changed since."""
    click = workspace.click
    for action_id, value, error in (
        ("rollout.promote", None, "element_not_found"),
        ("snooze", "400", "option_not_found"),
        ("feedback", "meh", "option_not_found"),
    ):
        with pytest.raises(SandboxRefusedError, match=error):
            click("ben", "cloud-costs", card["ts"], action_id, value)
    web.chat_update(channel="C0COSTS", ts=card["ts"], text="Approved by Carla")
    with pytest.raises(SandboxRefusedError, match="element_not_found"):
        click("ben", "cloud-costs", card["ts"], "rollout.approve")
    with pytest.raises(SandboxRefusedError, match="message_not_found"):
        click("ben", "cloud-costs", "1.000000", "rollout.approve")


def test_same_action_in_two_blocks_is_told_apart(workspace: SlackWorkspace, web: WebClient) -> None:
    """By value or by block_id."""
    rows = [
        {
            "type": "section",
            "block_id": f"row{n}",
            "text": mrkdwn("x"),
            "accessory": button("Open", "open", value=f"r-{n}"),
        }
        for n in (1, 2)
    ]
    ts = web.chat_postMessage(channel="C0COSTS", text="x", blocks=rows)["ts"]
    assert workspace.click("ben", "cloud-costs", ts, "open", "r-2")["block_id"] == "row2"
    assert workspace.click("ben", "cloud-costs", ts, "open", block_id="row2")["value"] == "r-2"
    assert workspace.click("ben", "cloud-costs", ts, "open")["value"] == "r-1"


def test_an_ephemeral_card_can_be_clicked_by_its_reader_only(
    workspace: SlackWorkspace, web: WebClient, heard: Heard
) -> None:
    """Its payload says so and carries no message, as Slack's."""
    web.chat_postEphemeral(channel="C0COSTS", user="U0BEN", text="x", blocks=CARD)
    shown = workspace.transcript("cloud-costs", user="ben")[0]
    with pytest.raises(SandboxRefusedError, match="message_not_found"):
        workspace.press("dan", shown, "rollout.approve")
    workspace.press("ben", shown, "rollout.approve")
    body = workspace.until(lambda: heard.actions)[0]
    assert body["container"]["is_ephemeral"]
    assert "message" not in body


def test_answers_through_the_response_url(workspace: SlackWorkspace, heard: Heard, card: Json) -> None:
    """New and ephemeral by default, in the channel when asked, in place of the original, or instead of it."""
    workspace.press("ben", card, "rollout.dry_run")
    hook = WebhookClient(workspace.until(lambda: heard.actions)[0]["response_url"])
    assert hook.send(text="For your eyes").status_code == 200
    assert hook.send(text="For all", response_type="in_channel").status_code == 200
    assert hook.send(text="New face", replace_original=True).status_code == 200
    told = {m["text"]: m["ephemeral_to"] for m in workspace.transcript("cloud-costs")}
    assert told == {"New face": None, "For your eyes": "U0BEN", "For all": None}
    assert hook.send(text="", blocks=[{"type": "x"}]).status_code == 400
    assert hook.send(delete_original=True).status_code == 200
    assert "New face" not in [m["text"] for m in workspace.transcript("cloud-costs")]
    assert hook.send(text="sixth time").status_code == 404
    assert WebhookClient(f"{workspace.url}/response/nothing").send(text="x").status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"colour": 1}', b"{}", b'{"text": "x", "response_type": "loud"}'])
def test_bad_answers_are_refused(workspace: SlackWorkspace, heard: Heard, card: Json, body: bytes) -> None:
    """A response_url wants JSON with known fields and something to say."""
    workspace.press("ben", card, "rollout.dry_run")
    url = workspace.until(lambda: heard.actions)[0]["response_url"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=5)
    assert caught.value.code == 400
    caught.value.close()


def test_a_command_has_its_own_payload(workspace: SlackWorkspace, heard: Heard) -> None:
    """Names and ids of person and channel; the ack's text comes back to the sender alone."""
    workspace.command("ben", "dm:ben", "/cost", "last week")
    told = workspace.wait_for(lambda m: m["text"] == "heard /cost last week")
    assert (told["ephemeral_to"], told["channel"]) == ("U0BEN", "D0BEN")
    assert heard.commands[0]["channel_name"] == "directmessage"
    with pytest.raises(SandboxRefusedError, match="unknown_command"):
        workspace.command("ben", "cloud-costs", "/spend")
    assert "not a valid command" in workspace.transcript("cloud-costs", user="ben")[-1]["text"]


def test_shortcuts(workspace: SlackWorkspace, heard: Heard) -> None:
    """A global one, and one on a message; unknown ones are refused."""
    ts = workspace.say("dan", "cloud-costs", "bill is up 20 %")
    workspace.shortcut("dan", "ask_cost")
    workspace.shortcut("dan", "explain_cost", "cloud-costs", ts)
    workspace.until(lambda: len(heard.shortcuts) == 2)
    assert sorted(body["type"] for body in heard.shortcuts) == ["message_action", "shortcut"]
    on_message = next(body for body in heard.shortcuts if body["type"] == "message_action")
    assert (on_message["message"]["text"], on_message["channel"]["id"]) == ("bill is up 20 %", "C0COSTS")
    with pytest.raises(SandboxRefusedError, match="unknown_shortcut"):
        workspace.shortcut("dan", "explain_cost")


class TestForms:
    """Modals: opening by trigger, Slack's own checks, the app's answers."""

    @pytest.fixture
    def trigger(self, workspace: SlackWorkspace, heard: Heard, card: Json) -> Any:
        """Gives a fresh trigger id: somebody pressed a button."""

        def press() -> str:
            before = len(heard.actions)
            workspace.press("ben", card, "rollout.dry_run")
            workspace.until(lambda: len(heard.actions) > before)
            return str(heard.actions[-1]["trigger_id"])

        return press

    def test_slack_checks_the_form_first(
        self, workspace: SlackWorkspace, web: WebClient, heard: Heard, trigger: Any
    ) -> None:
        """Required fields, lengths, numbers and addresses never reach the app when they are wrong."""
        web.views_open(trigger_id=trigger(), view=FORM)
        view = workspace.views("ben")[0]
        bad = {"reason": "short", "scope": "all", "sure": "9", "link": "ftp://x", "mail": "ben"}
        answer = workspace.submit("ben", view["id"], bad)
        assert (answer["ok"], answer["error"]) == (False, "invalid_input")
        assert answer["errors"] == {
            "reason": "Must be at least 10 characters.",
            "sure": "Enter a number of at most 5.",
            "link": "Enter a valid URL.",
            "mail": "Enter a valid e-mail address.",
        }
        assert set(workspace.submit("ben", view["id"])["errors"]) == {"reason", "scope"}
        for number, problem in (
            ("x", "Enter a number."),
            ("1.5", "Enter a whole number."),
            ("0", "Enter a number of at least 1."),
        ):
            assert workspace.submit("ben", view["id"], {"sure": number})["errors"]["sure"] == problem
        assert heard.submissions == []
        assert workspace.submit("ben", view["id"], {"colour": "red"})["error"] == "input_not_found"
        assert workspace.submit("ben", view["id"], {"scope": "none"})["error"] == "option_not_found"
        assert workspace.submit("dan", view["id"])["error"] == "view_not_found"

    def test_values_arrive_in_slacks_shapes(
        self, workspace: SlackWorkspace, web: WebClient, heard: Heard, trigger: Any
    ) -> None:
        """Keyed by block or action, or nested; each element type in its own field."""
        web.views_open(trigger_id=trigger(), view=FORM)
        values = {
            "reason": {"text": "because it failed"}, "scope": "last", "who": ["U0DAN"], "n": 3,
            "date": "2026-11-24", "team": "Search", "also": ["ticket", "freeze"],
        }  # fmt: skip
        assert workspace.submit("ben", workspace.views("ben")[0]["id"], values)["response_action"] == "close"
        view = heard.submissions[0]["view"]
        state = view["state"]["values"]
        assert (view["private_metadata"], view["callback_id"]) == ("r-142", "rollback")
        assert state["reason"]["text"]["value"] == "because it failed"
        assert state["scope"]["pick"]["selected_option"]["value"] == "last"
        assert state["tell"]["who"]["selected_users"] == ["U0DAN"]
        assert state["sure"]["n"]["value"] == "3"
        assert state["day"]["date"]["selected_date"] == "2026-11-24"
        assert state["team"]["pick"]["selected_option"]["text"]["text"] == "Search"
        assert [o["value"] for o in state["also"]["pick"]["selected_options"]] == ["ticket", "freeze"]
        assert state["link"]["url"]["value"] is None
        assert workspace.views("ben") == []

    def test_triggers_are_short_lived(
        self, workspace: SlackWorkspace, web: WebClient, refused: Any, trigger: Any
    ) -> None:
        """Unknown, used and old triggers open nothing."""
        assert refused(web.views_open, trigger_id="1.x", view=FORM)["error"] == "invalid_trigger_id"
        used = trigger()
        web.views_open(trigger_id=used, view=FORM)
        assert refused(web.views_open, trigger_id=used, view=FORM)["error"] == "exchanged_trigger_id"
        old = trigger()
        workspace.sandbox.workspace.triggers[old].born -= 3.1
        assert refused(web.views_open, trigger_id=old, view=FORM)["error"] == "expired_trigger_id"
        assert refused(web.views_open, trigger_id=trigger(), view=HOME)["error"] == "invalid_arguments"
        assert refused(web.api_call, "views.open", json={"trigger_id": trigger()})["error"] == "invalid_arguments"

    def test_views_are_updated_and_pushed(
        self, workspace: SlackWorkspace, web: WebClient, heard: Heard, refused: Any, trigger: Any
    ) -> None:
        """An update wants the newest hash; three forms fit on each other; closing one is told when asked for."""
        first = web.views_open(trigger_id=trigger(), view=FORM | {"external_id": "form", "notify_on_close": True})[
            "view"
        ]
        second = web.views_update(
            external_id="form", hash=first["hash"], view=FORM | {"title": plain("Again"), "notify_on_close": True}
        )["view"]
        assert (second["id"], second["title"]["text"]) == (first["id"], "Again")
        assert refused(web.views_update, view_id=first["id"], hash=first["hash"], view=FORM)["error"] == "hash_conflict"
        assert refused(web.views_update, view_id="V0", view=FORM)["error"] == "not_found"
        assert refused(web.views_push, trigger_id=trigger(), view=FORM)["error"] == "not_found"
        for depth in (2, 3):
            pushed = web.views_push(trigger_id=self.from_view(workspace, heard), view=with_button())["view"]
            assert pushed["root_view_id"] == first["id"]
            assert len(workspace.views("ben")) == depth
        assert (
            refused(web.views_push, trigger_id=self.from_view(workspace, heard), view=FORM)["error"]
            == "push_limit_reached"
        )
        with pytest.raises(SandboxRefusedError, match="view_not_found"):
            workspace.close("dan", first["id"])
        assert workspace.submit("ben", first["id"])["error"] == "view_not_on_top"
        for _ in range(3):
            workspace.close("ben", workspace.views("ben")[-1]["id"])
        assert [body["view"]["id"] for body in workspace.until(lambda: heard.closed)] == [first["id"]]

    def from_view(self, workspace: SlackWorkspace, heard: Heard) -> str:
        """A trigger from something done in the form on top."""
        top = workspace.views("ben")[-1]
        before = len(heard.actions)
        workspace.click_view(
            "ben",
            top["id"],
            "go" if top["callback_id"] == "pushed" else "pick",
            None if top["callback_id"] == "pushed" else "all",
        )
        workspace.until(lambda: len(heard.actions) > before)
        assert heard.actions[-1]["container"] == {"type": "view", "view_id": top["id"]}
        return str(heard.actions[-1]["trigger_id"])

    @pytest.mark.parametrize(
        ("answer", "shown"),
        [
            ({"response_action": "clear"}, {"ok": True, "response_action": "clear"}),
            ({"response_action": "errors", "errors": {"reason": "No."}}, {"ok": False, "errors": {"reason": "No."}}),
            ({"response_action": "errors", "errors": {"nothing": "No."}}, {"ok": False, "error": "invalid_errors"}),
            ({"response_action": "dance"}, {"ok": False, "error": "invalid_response_action"}),
            ({"response_action": "update", "view": {"type": "modal"}}, {"ok": False, "error": "invalid_view"}),
            ({"response_action": "update", "view": FORM}, {"ok": True, "response_action": "update"}),
            ({"response_action": "push", "view": FORM}, {"ok": True, "response_action": "push"}),
        ],
    )
    def test_the_app_decides_what_follows(
        self, workspace: SlackWorkspace, web: WebClient, heard: Heard, trigger: Any, answer: Json, shown: Json
    ) -> None:
        """Clear, errors, update, push; and answers that Slack would not take."""
        heard.answer_to_submissions = answer
        web.views_open(trigger_id=trigger(), view=FORM)
        got = workspace.submit("ben", workspace.views("ben")[0]["id"], {"reason": "because it failed", "scope": "all"})
        assert got | shown == got
        open_now = {"clear": 0, "push": 2}.get(got.get("response_action", ""), 1)
        assert len(workspace.views("ben")) == open_now


def with_button() -> Json:
    block = {"type": "actions", "elements": [button("Go", "go")]}
    return {"type": "modal", "callback_id": "pushed", "title": plain("More"), "blocks": [block]}


def test_home_is_opened_and_used(workspace: SlackWorkspace, web: WebClient, heard: Heard) -> None:
    """Opening sends app_home_opened (with the view once there is one); its buttons carry the view."""
    workspace.open_home("ben", "messages")
    assert workspace.until(lambda: heard.events("app_home_opened"))[0]["tab"] == "messages"
    web.views_publish(user_id="U0BEN", view=HOME)
    workspace.open_home("ben")
    opened = workspace.until(lambda: [e for e in heard.events("app_home_opened") if e["tab"] == "home"])[0]
    assert opened["view"]["type"] == "home"
    home = workspace.wait_for_home("ben")
    assert workspace.click_view("ben", home["id"], "home.open")["value"] == "r-142"
    body = workspace.until(lambda: heard.actions)[0]
    assert (body["view"]["id"], "response_url" in body) == (home["id"], False)


def test_an_agent_can_be_stopped(workspace: SlackWorkspace, web: WebClient, heard: Heard) -> None:
    """The stop button ends the stream and tells the app; it is there only while the agent works."""
    asked = workspace.say("priya", "cloud-costs", "@optiinfra why?")
    with pytest.raises(SandboxRefusedError, match="session_not_processing"):
        workspace.stop("priya", "cloud-costs", asked)
    web.agents_sessions_setStatus(channel_id="C0COSTS", thread_ts=asked, status="processing")
    stream = web.chat_startStream(
        channel="C0COSTS",
        thread_ts=asked,
        recipient_user_id="U0PRIYA",
        recipient_team_id="T0LUMEN",
        markdown_text="Well",
    )
    workspace.stop("priya", "cloud-costs", asked)
    event = workspace.until(lambda: heard.events("agent_session_stopped"))[0]
    assert (event["user"], event["streaming_message_ts"]) == ("U0PRIYA", [stream["ts"]])


def test_waiting_says_what_was_seen(workspace: SlackWorkspace) -> None:
    """A wait that fails shows the transcript."""
    workspace.say("ben", "cloud-costs", "hello")
    with pytest.raises(AssertionError, match="ben: hello"):
        workspace.wait_for(lambda m: m["bot"], timeout=0.05)


async def test_waiting_on_the_apps_own_loop_is_refused(workspace: SlackWorkspace) -> None:
    """A blocking wait would stop an app on the same loop; the awaited twin does not."""
    with pytest.raises(RuntimeError, match=r"await ws\.aio\.until"):
        workspace.wait_for(bool)
    workspace.say("ben", "cloud-costs", "hello")
    assert (await workspace.aio.wait_for(bool))["text"] == "hello"


def test_elements_of_every_kind_in_a_form(workspace: SlackWorkspace, web: WebClient, heard: Heard) -> None:
    """Pickers of people, channels, times, and rich text."""
    kinds: dict[str, tuple[Json, Any, str, Any]] = {
        "u": ({"type": "users_select", "initial_user": "U0BEN"}, None, "selected_user", "U0BEN"),
        "c": ({"type": "channels_select"}, "C0COSTS", "selected_channel", "C0COSTS"),
        "v": ({"type": "conversations_select"}, "D0BEN", "selected_conversation", "D0BEN"),
        "t": ({"type": "timepicker"}, "09:30", "selected_time", "09:30"),
        "d": ({"type": "datetimepicker"}, "1795453200", "selected_date_time", 1795453200),
        "m": (
            {"type": "multi_static_select", "options": [option("A", "a")]},
            "a",
            "selected_options",
            [option("A", "a")],
        ),
        "x": ({"type": "multi_channels_select"}, [], "selected_channels", []),
    }
    blocks = [
        field(name, name, element | {"action_id": name}) | {"optional": True} for name, (element, *_) in kinds.items()
    ]
    web.views_open(trigger_id=workspace.sandbox.workspace.new_trigger("U0BEN"), view=FORM | {"blocks": blocks})
    given = {name: value for name, (_, value, _, _) in kinds.items() if value is not None}
    assert workspace.submit("ben", workspace.views("ben")[0]["id"], given)["ok"]
    state = heard.submissions[0]["view"]["state"]["values"]
    for name, (_, _, fieldname, expected) in kinds.items():
        assert state[name][name][fieldname] == expected, json.dumps(state[name])


def test_a_command_answered_with_bad_blocks(workspace: SlackWorkspace, heard: Heard) -> None:
    """Slack would not show them; the person reads why the command failed."""
    heard.answer_to_commands = {"blocks": [{"type": "hologram"}]}
    workspace.command("ben", "cloud-costs", "/cost")
    told = workspace.wait_for(lambda m: m["name"] == "slackbot")
    assert "invalid_blocks" in told["text"]
    heard.answer_to_commands = {"response_type": "ephemeral"}
    workspace.command("ben", "cloud-costs", "/cost")
    workspace.until(lambda: len(heard.commands) == 2)
    assert len(workspace.transcript("cloud-costs")) == 1
