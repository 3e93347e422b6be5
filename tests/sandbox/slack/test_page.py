"""The page in a real browser: a person reads, writes, opens a thread, presses buttons and fills in a form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.sandbox.slack.app import Heard
from tests.sandbox.slack.browser import Browser, chromium
from tests.sandbox.slack.gallery import CARD, FORM, HOME, MESSAGES

pytestmark = pytest.mark.skipif(chromium() is None, reason="No Chromium on this machine: the page's tests need one.")

THREAD = "#pane .messages"


@pytest.fixture(scope="module")
def opened_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = chromium()
    assert executable is not None
    opened = Browser(executable, tmp_path_factory.mktemp("browser") / "profile")
    yield opened
    opened.close()


@pytest.fixture
def browser(opened_browser: Browser) -> Iterator[Browser]:
    """One browser for all tests; each workspace has its own origin."""
    yield opened_browser
    opened_browser.run("location.replace('about:blank')")


def sees(browser: Browser, selector: str, text: str) -> None:
    """Waits until a part of the page contains this text."""
    browser.until(f"(document.querySelector({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(text)})")


def test_a_conversation_in_the_page(workspace: SlackWorkspace, web: WebClient, heard: Heard, browser: Browser) -> None:
    """Priya asks, the answer's thread opens by itself, she confirms a button, sends a command, and becomes Ben."""
    browser.open(f"{workspace.url}/#as=priya&channel=C0COSTS")
    browser.click("#composer")
    browser.write("@optiinfra why did <b>EC2</b> rise?")
    browser.key("Enter", 13)
    sees(browser, "#main .messages", "why did <b>EC2</b> rise?")
    asked = workspace.until(lambda: heard.events("app_mention"))[0]["ts"]

    web.agents_sessions_setStatus(channel_id="C0COSTS", thread_ts=asked, status="processing")
    sent = web.chat_postMessage(channel="C0COSTS", thread_ts=asked, text="A card", blocks=CARD)
    sees(browser, THREAD, "Move checkout-workers")
    sees(browser, "#pane .agent", "Stop")
    browser.click("#pane .agent button")
    workspace.until(lambda: heard.events("agent_session_stopped"))

    browser.click('#pane [data-action="rollout.approve"]')
    sees(browser, "dialog.confirm", "Change 2 of 20 instances?")
    assert heard.actions == []
    browser.click("dialog.confirm .primary")
    assert workspace.until(lambda: heard.actions)[0]["actions"][0]["value"] == "r-142:v7:10"
    web.chat_update(channel="C0COSTS", ts=sent["ts"], text="Approved by <@U0PRIYA>")
    sees(browser, THREAD, "Approved by @priya")

    browser.click("#reply")
    browser.write("thank you")
    browser.key("Enter", 13)
    assert workspace.wait_for(lambda m: m["text"] == "thank you")["thread_ts"] == asked

    browser.key("Escape", 27)
    browser.until("document.getElementById('pane').hidden")
    browser.click("#composer")
    browser.write("/cost help")
    browser.key("Enter", 13)
    sees(browser, "#main .ephemeral", "Only visible to you")
    browser.click('[data-person="ben"]')
    sees(browser, ".acting", "Ben Okafor")
    browser.until("!document.querySelector('#main .ephemeral')")
    assert browser.console == []


def test_a_form_in_the_page(workspace: SlackWorkspace, web: WebClient, heard: Heard, browser: Browser) -> None:
    """Errors stand under their fields, typed text survives an update, and the values arrive."""
    browser.open(f"{workspace.url}/#as=ben&channel=C0COSTS")
    view = web.views_open(trigger_id=workspace.sandbox.workspace.new_trigger("U0BEN"), view=FORM)["view"]
    sees(browser, "dialog.modal", "Roll back r-142")
    browser.click("dialog footer .primary")
    sees(browser, '[data-error="reason"]', "required")
    browser.click('dialog [data-action="text"]')
    browser.write("p95 is too high")
    web.views_update(view_id=view["id"], view=FORM | {"title": {"type": "plain_text", "text": "Roll back now"}})
    sees(browser, "dialog.modal header", "Roll back now")
    browser.click('dialog input[type="radio"][value="all"]')
    browser.click("dialog footer .primary")
    browser.until("!document.querySelector('dialog')")
    state = heard.submissions[0]["view"]["state"]["values"]
    assert state["reason"]["text"]["value"] == "p95 is too high"
    assert state["scope"]["pick"]["selected_option"]["value"] == "all"
    assert browser.console == []


def test_every_block_is_drawn(workspace: SlackWorkspace, web: WebClient, browser: Browser) -> None:
    """No unknown block, charts with a table view, sortable and paged tables, the inspector, and both themes."""
    for name, blocks in MESSAGES.items():
        web.chat_postMessage(channel="C0COSTS", text=name, blocks=blocks)
    browser.open(f"{workspace.url}/#as=priya&channel=C0COSTS&theme=dark")
    drawn = set(browser.run("[...document.querySelectorAll('#main .block')].map((node) => node.classList[1])"))
    assert drawn >= {block["type"] for blocks in MESSAGES.values() for block in blocks}
    assert browser.run("document.querySelectorAll('#main .unknown').length") == 0
    assert "Daily cost, actual and expected. line chart: Actual from 4,120" in browser.run(
        "document.querySelector('.chart svg').getAttribute('aria-label')"
    )
    browser.click(".chart .quiet")
    sees(browser, ".chart table", "4,120")

    first = "document.querySelector('.data-table tbody tr').innerText"
    browser.click(".data-table thead th:nth-child(3) button")
    browser.click(".data-table thead th:nth-child(3) button")
    browser.until(f"{first}.includes('Amazon S3')")
    assert (
        browser.run("document.querySelector('.data-table thead th:nth-child(3)').getAttribute('aria-sort')")
        == "ascending"
    )
    browser.click(".data-table .pager button:last-child")
    sees(browser, ".data-table .pager", "Page 2 of 2")

    light = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.click(".theme")
    browser.click(".theme")
    assert browser.run("document.documentElement.dataset.theme") == "light"
    assert browser.run("getComputedStyle(document.body).backgroundColor") != light

    browser.run("document.querySelector('#main .toolbar button[aria-label^=Inspect]').click()")
    sees(browser, ".inspector", '"block_id"')
    assert browser.console == []


def test_home_and_direct_messages(workspace: SlackWorkspace, web: WebClient, heard: Heard, browser: Browser) -> None:
    """Opening Home tells the app; its button carries the view; a suggested prompt is sent by a press."""
    web.views_publish(user_id="U0CARLA", view=HOME)
    prompts: list[Any] = [{"title": "This month", "message": "What will this month cost?"}]
    web.assistant_threads_setSuggestedPrompts(channel_id="D0CARLA", prompts=prompts)
    browser.open(f"{workspace.url}/#as=carla&channel=D0CARLA&tab=home")
    sees(browser, ".home", "Your cloud cost")
    workspace.until(lambda: heard.events("app_home_opened"))
    browser.click('[data-action="home.open"]')
    assert workspace.until(lambda: heard.actions)[0]["view"]["type"] == "home"
    browser.click(".tab:last-child")
    browser.click(".prompt")
    assert workspace.wait_for(lambda m: m["text"] == "What will this month cost?")["channel"] == "D0CARLA"
    assert browser.console == []


def test_a_permalink_opens_the_thread(workspace: SlackWorkspace, web: WebClient, browser: Browser) -> None:
    """What chat.getPermalink gives leads there."""
    top = workspace.say("ben", "cost-approvals", "look here")
    workspace.say("dan", "cost-approvals", "at this", thread_ts=top)
    browser.open(web.chat_getPermalink(channel="C0APPROVE", message_ts=top)["permalink"])
    sees(browser, THREAD, "at this")
