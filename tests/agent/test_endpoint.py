"""The sandbox's language model behaves like the real endpoint: lists models, streams, refuses, and plays its parts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from sandbox import llm
from tests.agent.conftest import ModelServer

KEY = {"authorization": "Bearer sandbox"}
ASK = {"model": "openai/gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}]}


def post(endpoint: ModelServer, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{endpoint.url}/openai/v1/chat/completions", json=body, headers=headers or KEY, timeout=5)


def test_it_lists_its_models(endpoint: ModelServer) -> None:
    """GET /models, as `doctor` asks it."""
    listed = httpx.get(f"{endpoint.url}/openai/v1/models", headers=KEY).json()
    assert [m["id"] for m in listed["data"]] == list(llm.MODELS)


def test_it_refuses_what_the_real_one_refuses(endpoint: ModelServer) -> None:
    """No key, no JSON, no messages, an unknown model."""
    assert post(endpoint, ASK, authorization="none").status_code == 401
    bad = httpx.post(f"{endpoint.url}/openai/v1/chat/completions", content="{", headers=KEY)
    assert bad.status_code == 400
    assert post(endpoint, {"model": "x"}).status_code == 400
    missing = post(endpoint, {**ASK, "model": "llama-3.1-70b"})
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


def test_it_streams(endpoint: ModelServer) -> None:
    """Text in pieces, tool calls whole, usage in the last chunk, then [DONE]."""
    endpoint.play("helpful", {"text": "hello there", "calls": [{"name": "query_costs", "args": {}}]})
    lines = [x for x in post(endpoint, {**ASK, "stream": True}).text.split("\n\n") if x]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert "".join(d.get("content") or "" for d in deltas) == "hello there"
    assert any(d.get("tool_calls") for d in deltas)
    assert chunks[-1]["x_groq"]["usage"]["total_tokens"] > 0


def test_it_is_scripted_over_http(endpoint: ModelServer) -> None:
    """POST what comes next; what was asked can be read back; an unknown part is refused."""
    control = f"{endpoint.url}/sandbox/llm/script"
    assert httpx.post(control, json={"part": "failing", "steps": [{"text": "one"}]}).json() == {"ok": True}
    assert post(endpoint, ASK).json()["choices"][0]["message"]["content"] == "one"
    assert post(endpoint, ASK).status_code == 500
    assert len(httpx.get(f"{endpoint.url}/sandbox/llm/calls").json()["calls"]) == 2
    assert httpx.post(control, json={"part": "angelic"}).status_code == 400


@pytest.mark.parametrize("part", sorted(set(llm.PARTS) - {"failing", "slow"}))
def test_every_part_answers_in_form(endpoint: ModelServer, part: str) -> None:
    """A first message and one after a tool result, each a chat completion."""
    endpoint.play(part)
    after = {**ASK, "messages": [*ASK["messages"], {"role": "tool", "content": "approve rec-1", "tool_call_id": "a"}]}
    for body in (ASK, after):
        message = post(endpoint, body).json()["choices"][0]["message"]
        assert message["role"] == "assistant"
        assert message.get("content") or message.get("tool_calls")
    assert llm.slow(ASK)["seconds"] > 10
