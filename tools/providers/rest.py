"""Rest: one question to a cloud, for JSON or bytes - paced, bounded in time, asked again where that is safe, refused in our words."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from tools.model.errors import ProviderError, SettingsError, ThrottledError, TransientError

CONNECT_SECONDS = 5
READ_SECONDS = 20
# All attempts of one question together, waiting included.
BUDGET_SECONDS = 90.0
# An effect, and what is looked at around it, happen under a lease that is shorter than a patient question.
EFFECT_SECONDS = 10.0
EFFECT_ATTEMPTS = 2
ATTEMPTS = 5
MOST_BYTES = 64 << 20
MOST_PAGES = 10_000
BLOCK = 1 << 20
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: header names in lower case, numbers of the body as exact decimals, None without a body."""

    status: int
    headers: Mapping[str, str]
    body: object


@dataclass(frozen=True, slots=True)
class Asking:
    """What a question is about: `doing` completes "... did not answer while ...", `permission` is what it needs.

    `budget` is how many seconds the answer is worth, all attempts and waits together.
    """

    doing: str
    permission: str = ""
    budget: float = BUDGET_SECONDS


@dataclass
class Pace:
    """At most `per_second` questions, shared by all threads; `burst` of them at once."""

    per_second: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _tokens: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._tokens, self._at = self.burst, self.clock()

    def take(self) -> None:
        """Wait until the next question may be asked."""
        with self._lock:
            now = self.clock()
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second) - 1
            self._at = now
            wait = max(0.0, -self._tokens / self.per_second)
        if wait:
            self.sleep(wait)


@dataclass
class Rest:
    """Asks one cloud. Questions (`ask`) only read, so each may be repeated; effects (`act`) are sent once.

    `authorize` gives the headers that prove who we are; `renew` forgets them when they were refused and says whether
    others can be had; `refuse` turns a refusal into our error; `told_wait` reads
    from the headers for how many seconds the cloud wants silence, None when it does not say.
    """

    provider: str
    base: str
    setting: str
    authorize: Callable[[], Mapping[str, str]]
    refuse: Callable[[Reply, Asking], ProviderError]
    told_wait: Callable[[Mapping[str, str]], float | None]
    pace: Pace
    renew: Callable[[], bool] = lambda: False
    attempts: int = ATTEMPTS
    read_seconds: float = READ_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    skew_seconds: float = 0.0
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        if not self.base.startswith(("http://", "https://")) or not urlsplit(self.base).hostname:
            raise SettingsError(f"{self.setting} is no URL.", fix="Write it as https://HOST or leave it empty.")
        self.base = self.base.rstrip("/") + "/"

    def get(self, where: str, asking: Asking, **parameters: str) -> Document:
        return self.ask("GET", where, asking, parameters=parameters)

    def ask(
        self,
        method: str,
        where: str,
        asking: Asking,
        *,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
        form: Mapping[str, str] | None = None,
        authorized: bool = True,
    ) -> Document:
        """The JSON object that `where` (a path, or an address of the same host) answers; {} without content.

        Raises a ProviderError: at once for a refusal, after several tries for throttling and failures.
        """
        return self._document(self._asked(method, where, asking, parameters, body, form, authorized), asking)

    def tagged(self, where: str, asking: Asking, **parameters: str) -> tuple[Document, str]:
        """The JSON object and its ETag, empty without one."""
        reply = self._asked("GET", where, asking, parameters, None, None, authorized=True)
        return self._document(reply, asking), reply.headers.get("etag", "")

    def _asked(
        self,
        method: str,
        where: str,
        asking: Asking,
        parameters: Mapping[str, str] | None,
        body: object,
        form: Mapping[str, str] | None,
        authorized: bool,
    ) -> Reply:
        url = self._url(where, asking)

        def send(ends: float) -> Reply | None:
            return self._send(method, url, parameters, body, form, ends, authorized=authorized)

        return self._answered(send, asking, authorized=authorized)

    @contextmanager
    def content(
        self, where: str, asking: Asking, *, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[Iterator[bytes]]:
        """The bytes that `where` answers, block by block, however many.

        Raises a ProviderError like `ask`; an answer that breaks off in the middle is a TransientError.
        """
        url = self._url(where, asking)
        opened: list[requests.Response] = []

        def send(ends: float) -> Reply | None:
            try:
                response = self._session.request(
                    "GET",
                    url,
                    params=parameters,
                    headers=dict(headers),
                    auth=_Proof(self.authorize()),
                    timeout=(CONNECT_SECONDS, self.read_seconds),
                    allow_redirects=False,
                    stream=True,
                )
            except requests.RequestException:
                return None
            opened.append(response)
            return Reply(response.status_code, {n.lower(): v for n, v in response.headers.items()}, None)

        try:
            self._answered(send, asking, authorized=True)
            yield self._blocks(opened[-1], asking)
        finally:
            for response in opened:
                response.close()

    def _blocks(self, response: requests.Response, asking: Asking) -> Iterator[bytes]:
        try:
            # As they are: a packed file is kept packed.
            while block := response.raw.read(BLOCK, decode_content=False):
                yield block
        except (requests.RequestException, HTTPError) as error:
            raise self._silence(asking) from error

    def _answered(self, send: Callable[[float], Reply | None], asking: Asking, *, authorized: bool) -> Reply:
        """The first good reply, tried again where that may help."""
        ends = self.clock() + asking.budget
        renewed = False
        for attempt in range(1, self.attempts + 1):
            self.pace.take()
            reply = send(ends)
            failure = self._failure(reply, asking)
            if failure is None and reply is not None:
                return reply
            assert failure is not None
            if reply is not None and reply.status == 401 and authorized and not renewed and self.renew():
                renewed = True
                continue
            told = self.told_wait(reply.headers) if reply is not None else None
            wait = max(told or 0.0, _backoff(attempt))
            if not _passing(reply, failure) or attempt == self.attempts or self.clock() + wait >= ends:
                raise failure
            self.sleep(wait)
        raise AssertionError("a question has at least one attempt")

    def act(
        self,
        method: str,
        where: str,
        asking: Asking,
        *,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Change something: sent once, whatever happens. `headers` may hold a precondition (If-Match).

        Raises TransientError when it is not known whether it was done, another ProviderError when it was not.
        """
        url, ends = self._url(where, asking), self.clock() + EFFECT_SECONDS
        self.pace.take()
        reply = self._send(method, url, parameters, body, None, ends, authorized=True, headers=headers)
        if reply is not None and reply.status == 401 and self.renew():
            # Refused before anything was done, so this is no second effect.
            reply = self._send(method, url, parameters, body, None, ends, authorized=True, headers=headers)
        failure = self._failure(reply, asking)
        if isinstance(failure, TransientError):
            failure.changed = (
                "Whether it was carried out is not known; what is there is looked at before anything else."
            )
        if failure is not None:
            raise failure
        assert reply is not None
        return reply

    def _url(self, where: str, asking: Asking) -> str:
        """An absolute address must be of our own host: another one must not get the credentials."""
        url = urljoin(self.base, where.lstrip("/"))
        ours, theirs = urlsplit(self.base), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise ProviderError(
                f"{self.provider} points to another host for the next page while {asking.doing}; it was not followed.",
                fix="Check the endpoint setting; it must be the address that the cloud itself uses.",
            )
        return url

    def _send(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str] | None,
        body: object,
        form: Mapping[str, str] | None,
        ends: float,
        *,
        authorized: bool,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """One attempt; None when no whole answer came."""
        proof = dict(self.authorize() if authorized else {}) | dict(headers or {})
        try:
            with self._session.request(
                method,
                url,
                params=parameters,
                json=body,
                data=form,
                auth=_Proof(proof),
                timeout=(CONNECT_SECONDS, self.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                text = self._read(response, ends)
                told = {name.lower(): value for name, value in response.headers.items()}
        except requests.RequestException:
            return None
        if text is None:
            return None
        self._look_at_clock(told)
        try:
            content = json.loads(text, parse_float=Decimal) if text.strip() else None
        except ValueError:
            # A refusal needs no readable body; an answer that promised one and broke off is no answer.
            if response.status_code < 300:
                return None
            content = None
        return Reply(response.status_code, told, content)

    def _read(self, response: requests.Response, ends: float) -> bytes | None:
        """The body, or None when it is endless or trickles beyond the budget."""
        parts, size = [], 0
        for part in response.iter_content(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES or self.clock() >= ends:
                return None
        return b"".join(parts)

    @property
    def _session(self) -> requests.Session:
        """One per thread: requests does not promise that threads may share one."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["User-Agent"] = "optiinfra"
        session: requests.Session = self._local.session
        return session

    def _failure(self, reply: Reply | None, asking: Asking) -> ProviderError | None:
        if reply is None:
            return self._silence(asking)
        if 300 <= reply.status < 400:
            return ProviderError(
                f"{self.provider} points elsewhere while {asking.doing}; it was not followed.",
                fix=f"Check {self.setting}.",
            )
        return self.refuse(reply, asking) if reply.status >= 400 else None

    def _silence(self, asking: Asking) -> TransientError:
        return TransientError(
            f"{self.provider} did not answer while {asking.doing}.",
            fix=f"It is tried again by itself; check the network or {self.setting} if it stays so.",
        )

    def _document(self, reply: Reply, asking: Asking) -> Document:
        if reply.body is None:
            return {}
        if not isinstance(reply.body, dict):
            raise not_as_described(self.provider, asking.doing)
        return reply.body

    def _look_at_clock(self, headers: Mapping[str, str]) -> None:
        told = _moment(headers.get("date", ""))
        if told is not None:
            self.skew_seconds = (self.wall() - told).total_seconds()

    def pages(self, ask: Callable[[str], tuple[Any, str]], asking: Asking) -> Iterator[Any]:
        """Every page that `ask` gives for a cursor ("" first), until it names no next one.

        A page may be empty in the middle. A cursor that comes again would go round for ever: ProviderError.
        """
        seen, cursor = {""}, ""
        while True:
            page, cursor = ask(cursor)
            yield page
            if not cursor:
                return
            if cursor in seen or len(seen) >= MOST_PAGES:
                raise ProviderError(
                    f"{self.provider} hands out the same page again and again while {asking.doing}; nothing of it "
                    "is used.",
                    fix="It is tried again at the next collection.",
                )
            seen.add(cursor)


class _Proof(requests.auth.AuthBase):
    """Sets our own headers last, so that a .netrc file of the machine cannot replace them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def not_as_described(provider: str, doing: str) -> ProviderError:
    """The answer has not the form that the cloud's own description gives."""
    return ProviderError(
        f"{provider} answered in a form that is not known while {doing}; nothing of it is used.",
        fix="Look for a newer version of OptiInfra; the cloud may have changed its API.",
    )


def seconds_of(value: str, now: datetime) -> float | None:
    """A Retry-After: seconds, or a moment; None when it is neither."""
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = _moment(text)
        return max(0.0, (moment - now).total_seconds()) if moment is not None else None
    return seconds if 0 <= seconds < float("inf") else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _passing(reply: Reply | None, failure: ProviderError) -> bool:
    """Whether asking again may help; Google throttles with 403 too, which only its error's words tell."""
    return reply is None or reply.status in {408, 429} or reply.status >= 500 or isinstance(failure, ThrottledError)


def _backoff(attempt: int) -> float:
    return min(8.0, 0.25 * 2.0**attempt) * (0.75 + random.random() / 2)  # noqa: S311 - spreads callers, guards nothing
