"""Models: asks Groq's first model, then its second, within a time limit - and says nothing when neither can be used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.settings import Settings
from tools.telemetry.logs import get_logger

if TYPE_CHECKING:
    import httpx
    from langchain_core.messages import AIMessage, BaseMessage

FAILURES = 3
OPEN_SECONDS = 30.0
GONE_SECONDS = 3600.0
LONGEST_PAUSE = 600.0
_log = get_logger(__name__)


@dataclass(slots=True)
class Breaker:
    """Keeps a failing model from being asked: after three failures in a row, or for as long as it asked to be left."""

    failures: int = 0
    closed_at: float = 0.0

    def allows(self, now: float) -> bool:
        return now >= self.closed_at

    def worked(self) -> None:
        self.failures = 0

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.failures >= FAILURES:
            self.pause(now, OPEN_SECONDS)
            self.failures = 0

    def pause(self, now: float, seconds: float) -> None:
        self.closed_at = max(self.closed_at, now + min(seconds, GONE_SECONDS))


@dataclass(slots=True)
class Models:
    """The language models of this installation. Without a key there are none, and `ask` says None."""

    settings: Settings
    tools: Sequence[dict[str, Any]]
    monotonic: Callable[[], float] = time.monotonic
    breakers: dict[str, Breaker] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    http: httpx.Client | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def available(self) -> bool:
        return bool(self.settings.groq_api_key.get_secret_value())

    def ask(self, messages: Sequence[BaseMessage]) -> AIMessage | None:
        """The first model's message, or the second's, or None when neither answers usably."""
        if not self.available:
            return None
        for model in dict.fromkeys((self.settings.llm_model, self.settings.llm_fallback_model)):
            breaker = self.breakers.setdefault(model, Breaker())
            if not model or not breaker.allows(self.monotonic()):
                continue
            answer = self._one(model, breaker, messages)
            if answer is not None:
                return answer
        return None

    def close(self) -> None:
        """Close the connections to the models; asking again opens new ones."""
        self.clients.clear()
        if self.http is not None:
            self.http.close()
            self.http = None

    def _one(self, model: str, breaker: Breaker, messages: Sequence[BaseMessage]) -> AIMessage | None:
        import groq
        import httpx
        from langchain_core.messages import AIMessage

        try:
            answer = self._client(model).invoke(list(messages))
        except groq.RateLimitError as error:
            self._note(model, "rate_limited")
            breaker.pause(self.monotonic(), _retry_after(error.response.headers.get("retry-after")))
        except groq.NotFoundError:
            self._note(model, "model_not_found")
            breaker.pause(self.monotonic(), GONE_SECONDS)
        except (groq.AuthenticationError, groq.PermissionDeniedError):
            self._note(model, "key_refused")
            breaker.pause(self.monotonic(), GONE_SECONDS)
        except groq.BadRequestError:
            # Usually a tool call that the model wrote and Groq could not read; asking the same again rarely helps.
            self._note(model, "bad_request")
        except (groq.GroqError, httpx.HTTPError) as error:
            self._note(model, type(error).__name__)
            breaker.failed(self.monotonic())
        except (json.JSONDecodeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            # The endpoint answered with something that is no chat completion.
            self._note(model, f"unreadable_{type(error).__name__}")
            breaker.failed(self.monotonic())
        else:
            breaker.worked()
            if isinstance(answer, AIMessage):
                return answer
        return None

    def _note(self, model: str, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        _log.warning("language_model_failed", model=model, reason=what)

    def _client(self, model: str) -> Any:
        if model not in self.clients:
            import groq
            from langchain_groq import ChatGroq

            # Ours, not the library's own: a connection that nobody closes is closed at any later moment.
            self.http = self.http or groq.DefaultHttpxClient()
            chat = ChatGroq(
                model=model,
                api_key=self.settings.groq_api_key,
                base_url=self.settings.groq_api_base or None,
                timeout=self.settings.llm_timeout_seconds,
                max_retries=0,
                temperature=0,
                max_tokens=1024,
                http_client=self.http,
                reasoning_effort="low" if "gpt-oss" in model else None,
            )
            self.clients[model] = chat.bind_tools(list(self.tools))
        return self.clients[model]


def _retry_after(header: str | None) -> float:
    """Seconds to leave the model alone: what it asked for, within reason."""
    try:
        return min(max(float(header or ""), 1.0), LONGEST_PAUSE)
    except ValueError:
        return OPEN_SECONDS
