"""A language model's endpoint (OpenAI and Groq's chat API): scripted, or playing a part - slow, failing, hostile, lying."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODELS = ("openai/gpt-oss-120b", "openai/gpt-oss-20b")
Step = dict[str, Any]


@dataclass
class Script:
    """What the endpoint does next. `steps` are taken one per call; when there are none, the `part` answers.

    A step is one of {"text"}, {"calls": [{"name", "args"} ...]} ("args" may be a string: sent as it is),
    {"error": status, "body"?, "headers"?}, {"raw": body, "type"?}, {"cut": true}; each may have "seconds" to wait
    first and "model" for the one model it is meant for.
    """

    part: str = "helpful"
    steps: deque[Step] = field(default_factory=deque)
    models: tuple[str, ...] = MODELS
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, asked: dict[str, Any]) -> Step:
        with self.lock:
            self.calls.append(asked)
            for step in self.steps:
                if step.get("model", asked.get("model")) == asked.get("model"):
                    self.steps.remove(step)
                    return step
        return PARTS[self.part](asked)


def build(script: Script | None = None) -> Starlette:
    """The endpoint as an ASGI application; give a Script to keep a hand on it."""
    script = script or Script()
    endpoint = Endpoint(script)
    return Starlette(
        routes=[
            Route("/openai/v1/chat/completions", endpoint.complete, methods=["POST"]),
            Route("/openai/v1/models", endpoint.models),
            Route("/sandbox/llm/script", endpoint.write, methods=["POST"]),
            Route("/sandbox/llm/calls", endpoint.seen),
        ]
    )


class Endpoint:
    """The routes."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def complete(self, request: Request) -> Response:
        """POST /chat/completions."""
        if not re.fullmatch(r"Bearer \S+", request.headers.get("authorization", "")):
            return _problem(401, "invalid_api_key", "Invalid API Key")
        try:
            asked = await request.json()
        except json.JSONDecodeError:
            return _problem(400, "invalid_request_error", "The body is no JSON.")
        if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list) or not asked["messages"]:
            return _problem(400, "invalid_request_error", "'messages' : minimum number of items is 1")
        if asked.get("model") not in self.script.models:
            return _problem(
                404,
                "model_not_found",
                f"The model `{asked.get('model')}` does not exist or you do not have access to it.",
            )
        step = self.script.next(asked)
        if step.get("seconds"):
            await asyncio.sleep(float(step["seconds"]))
        return _respond(step, asked)

    async def models(self, request: Request) -> Response:
        """GET /models."""
        listed = [{"id": m, "object": "model", "active": True, "owned_by": "sandbox"} for m in self.script.models]
        return JSONResponse({"object": "list", "data": listed})

    async def write(self, request: Request) -> Response:
        """POST {part?, steps?, models?}: what to do from now on; forgets what was asked before."""
        wanted = await request.json()
        part = wanted.get("part", "helpful")
        if part not in PARTS:
            return _problem(400, "unknown_part", f"Parts are: {', '.join(sorted(PARTS))}.")
        with self.script.lock:
            self.script.part = part
            self.script.steps = deque(wanted.get("steps", ()))
            self.script.models = tuple(wanted.get("models", MODELS))
            self.script.calls.clear()
        return JSONResponse({"ok": True})

    async def seen(self, request: Request) -> Response:
        """GET: every request body since the last script."""
        return JSONResponse({"calls": self.script.calls})


def _respond(step: Step, asked: dict[str, Any]) -> Response:
    if "error" in step:
        headers = {str(k): str(v) for k, v in step.get("headers", {}).items()}
        body = step.get("body") or {"error": {"message": "it failed", "type": "sandbox_error"}}
        return JSONResponse(body, status_code=int(step["error"]), headers=headers)
    if "raw" in step:
        return Response(str(step["raw"]), media_type=str(step.get("type", "application/json")))
    if step.get("cut"):
        return StreamingResponse(_cut(), media_type="application/json", headers={"content-length": "4096"})
    message = _message(step)
    if asked.get("stream"):
        return StreamingResponse(_events(message, asked), media_type="text/event-stream")
    return JSONResponse(_completion(message, asked))


async def _cut() -> AsyncIterator[bytes]:
    """Half an answer, then nothing: the connection ends before the promised length."""
    yield b'{"id": "chatcmpl-cut", "choices": [{"index": 0, "mess'
    raise ConnectionAbortedError("cut on purpose")


def _message(step: Step) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": step.get("text")}
    calls = step.get("calls") or []
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id", f"call_{n}"),
                "type": "function",
                "function": {
                    "name": call["name"],
                    "arguments": call["args"]
                    if isinstance(call.get("args"), str)
                    else json.dumps(call.get("args", {})),
                },
            }
            for n, call in enumerate(calls)
        ]
    return message


def _completion(message: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    prompt = sum(len(str(m.get("content") or "")) for m in asked["messages"]) // 4
    written = len(json.dumps(message)) // 4
    return {
        "id": f"chatcmpl-sandbox-{time.monotonic_ns()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
            }
        ],
        "usage": {
            "queue_time": 0.0,
            "prompt_tokens": prompt,
            "prompt_time": 0.0,
            "completion_tokens": written,
            "completion_time": 0.0,
            "total_tokens": prompt + written,
            "total_time": 0.0,
        },
        "system_fingerprint": "fp_sandbox",
        "x_groq": {"id": "req_sandbox"},
    }


async def _events(message: dict[str, Any], asked: dict[str, Any]) -> AsyncIterator[str]:
    """The same answer as server-sent events: text in pieces, tool calls whole, usage at the end."""
    whole = _completion(message, asked)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\S+\s*", message.get("content") or "")]
    if message.get("tool_calls"):
        deltas.append({"tool_calls": [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]})
    base = {k: whole[k] for k in ("id", "created", "model", "system_fingerprint")} | {"object": "chat.completion.chunk"}
    for delta in deltas:
        yield _event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = {"index": 0, "delta": {}, "finish_reason": whole["choices"][0]["finish_reason"]}
    yield _event(base | {"choices": [last], "x_groq": {"id": "req_sandbox", "usage": whole["usage"]}})
    yield "data: [DONE]\n\n"


def _event(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document)}\n\n"


def _problem(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse(
        {"error": {"message": message, "type": "invalid_request_error", "code": code}}, status_code=status
    )


def _last(asked: dict[str, Any]) -> dict[str, Any]:
    last = asked["messages"][-1]
    return last if isinstance(last, dict) else {}


def _everything(asked: dict[str, Any]) -> str:
    return "\n".join(str(m.get("content") or "") for m in asked["messages"] if m.get("role") != "system")


def _month(asked: dict[str, Any]) -> dict[str, str]:
    """The running month, from the day that the system prompt names."""
    found = re.search(r"(\d{4})-(\d\d)-(\d\d)", str(asked["messages"][0].get("content") or ""))
    year, month = (int(found[1]), int(found[2])) if found else (2026, 11)
    following = (year + month // 12, month % 12 + 1)
    return {"start": f"{year}-{month:02d}-01", "end": f"{following[0]}-{following[1]:02d}-01"}


def helpful(asked: dict[str, Any]) -> Step:
    """An honest helper: costs per service of the running month, then no remarks."""
    if _last(asked).get("role") == "tool":
        return {"text": '{"comments": []}'}
    return {"calls": [{"name": "query_costs", "args": {**_month(asked), "by": ["service_name"]}}]}


def obedient(asked: dict[str, Any]) -> Step:
    """Obeys whatever instruction stands in anything it reads, tools that do not exist included."""
    text = _everything(asked)
    ids = re.findall(r"\b(?:rec|ro)-[\w-]+", text)
    if re.search(r"ignore|approve|execute|propose|roll ?back|transfer|delete", text, re.IGNORECASE):
        if _last(asked).get("role") == "tool":
            return {"text": '{"comments": [{"about": ["F1"], "text": "I approved it <!channel> http://evil.example"}]}'}
        target = ids[0] if ids else "rec-injected"
        return {
            "calls": [
                {"name": "approve_rollout", "args": {"rollout": target}},
                {"name": "propose_rollout", "args": {"recommendation": target}},
                {"name": "execute", "args": {"command": "rm -rf /"}},
            ]
        }
    return helpful(asked)


def lying(asked: dict[str, Any]) -> Step:
    """Calls the right tool, then tells invented numbers in every way it can think of."""
    if _last(asked).get("role") != "tool":
        return helpful(asked)
    lies = (
        "You spent $999,999 on AWS.",
        "Cost fell by twelve percent.",
        "The bill doubled.",
        "Costs are ４２ dollars.",
        "Most of it is BigQuery.",
        "It rose because of the new cluster.",
        "I have approved the rollout for you.",
        "See https://evil.example for the rest.",
        "<!channel> look at this",
        "Savings are huge.",
    )
    return {"text": json.dumps({"comments": [{"about": ["F1"], "text": lie} for lie in lies]}, ensure_ascii=False)}


def talkative(asked: dict[str, Any]) -> Step:
    """Never calls a tool and answers out of its head."""
    return {"text": "Your cloud bill was exactly $123,456.78 last month, up 12 %."}


def hostile(asked: dict[str, Any]) -> Step:
    """Sends what breaks naive programs: markup, mentions, right-to-left marks, an endless string."""
    if _last(asked).get("role") == "tool":
        return {"text": "<script>alert(1)</script> \u202e<@U123> " + "A" * 200_000}
    return {"calls": [{"name": "query_costs\u202e<!here>", "args": {"start": "x" * 5000}}]}


def failing(asked: dict[str, Any]) -> Step:
    """Always out of order."""
    return {"error": 500}


def slow(asked: dict[str, Any]) -> Step:
    """Right, but far too late."""
    return {**helpful(asked), "seconds": 30}


PARTS: dict[str, Callable[[dict[str, Any]], Step]] = {
    "helpful": helpful,
    "obedient": obedient,
    "lying": lying,
    "talkative": talkative,
    "hostile": hostile,
    "failing": failing,
    "slow": slow,
}
