"""Connection: questions to Azure Resource Manager, all pages of an answer, and its refusals in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    ProtectedError,
    ProviderError,
    QuotaExceededError,
    ResourceConflictError,
    ResourceMissingError,
    ThrottledError,
    TransientError,
)
from tools.providers.azure.identity import Identity, executor_of, reader_of, refuse_login
from tools.providers.rest import (
    ATTEMPTS,
    EFFECT_ATTEMPTS,
    EFFECT_SECONDS,
    READ_SECONDS,
    Asking,
    Document,
    Pace,
    Reply,
    Rest,
    not_as_described,
    seconds_of,
)
from tools.settings import Settings

# What Microsoft calls itself on its bills.
PROVIDER = "Microsoft"
ENDPOINT = "https://management.azure.com"
LOGIN = "https://login.microsoftonline.com"
PRICES = "https://prices.azure.com"
# Resource Manager refills 25 reads a second per application and subscription, and lets 250 through at once.
PER_SECOND, AT_ONCE = 15.0, 60.0
SETTING = "OPTIINFRA_AZURE_ENDPOINT"
CAPACITY = frozenset(
    {"AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest", "SkuNotAvailable"}
)
# "x-ms-ratelimit-microsoft.costmanagement-entity-retry-after" and its relatives (qpu, tenant, client).
_RETRY_AFTER = re.compile(r"^(retry-after|x-ms-ratelimit-.*retry-after)$")
# "... perform action 'Microsoft.Compute/disks/read' over scope ...": the only part of Azure's text that is used.
_ACTION = re.compile(r"action '([A-Za-z0-9.]+(?:/[A-Za-z0-9*]+)+)'")


@dataclass(frozen=True)
class Connection:
    """How to reach Azure: which subscriptions, as whom. `retail` is the public price list, which asks for no proof.

    `effects` is the door of the identity that may change things; it is asked under a lease, so not patiently.
    """

    subscriptions: tuple[str, ...]
    identity: Identity
    rest: Rest
    retail: Rest
    effects: Rest

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """From the settings; raises SettingsError for an endpoint that is no URL."""
        pace = Pace(PER_SECOND, AT_ONCE)
        endpoint = settings.azure_endpoint
        login = Rest("Microsoft Entra", endpoint or LOGIN, SETTING, dict, refuse_login, told_wait, pace)
        identity = reader_of(settings, login)

        def door(who: Identity, attempts: int = ATTEMPTS, read_seconds: float = READ_SECONDS) -> Rest:
            return Rest(
                "Azure",
                endpoint or ENDPOINT,
                SETTING,
                who.header,
                refuse,
                told_wait,
                pace,
                renew=who.renew,
                attempts=attempts,
                read_seconds=read_seconds,
            )

        return cls(
            tuple(s.lower().removeprefix("/subscriptions/") for s in settings.azure_subscriptions),
            identity,
            door(identity),
            Rest("Azure", endpoint or PRICES, SETTING, dict, refuse, told_wait, pace),
            door(executor_of(settings, login) or identity, EFFECT_ATTEMPTS, EFFECT_SECONDS),
        )

    def listing(
        self, path: str, version: str, asking: Asking, *, effects: bool = False, **parameters: str
    ) -> list[Document]:
        """Every item of a list, all pages; with `effects` asked by who changes things."""
        door = self.effects if effects else self.rest
        return [item for page in self._pages(door, path, version, asking, parameters) for item in page]

    def _pages(
        self, door: Rest, path: str, version: str, asking: Asking, parameters: Mapping[str, str]
    ) -> Iterator[list[Document]]:
        def ask(link: str) -> tuple[list[Document], str]:
            told = door.get(link, asking) if link else door.get(path, asking, **{"api-version": version}, **parameters)
            items = told.get("value")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise not_as_described("Azure", asking.doing)
            return items, str(told.get("nextLink") or "")

        return door.pages(ask, asking)


def told_wait(headers: Mapping[str, str]) -> float | None:
    """The longest wait that any of Azure's headers asks for; None when none does."""
    told = [seconds_of(value, datetime.now(UTC)) for name, value in headers.items() if _RETRY_AFTER.match(name)]
    return max((seconds for seconds in told if seconds is not None), default=None)


def refuse(reply: Reply, asking: Asking) -> ProviderError:
    """A refusal as a typed error that holds nothing of Azure's text but a checked permission name."""
    doing, code, text = asking.doing, *_words(reply.body)
    if reply.status == 429 or code in {"TooManyRequests", "SubscriptionRequestsThrottled"}:
        return ThrottledError(f"Azure asks to be called less often while {doing}.", fix="It is tried again later.")
    if reply.status == 401:
        return DeniedError(
            f"Azure does not accept the credentials while {doing}.",
            fix="Renew OPTIINFRA_AZURE_TOKEN or the secret of the application (AZURE_CLIENT_SECRET).",
        )
    if reply.status == 403:
        return _forbidden(doing, text, asking.permission)
    if code in CAPACITY:
        return CapacityUnavailableError(f"Azure has no capacity of the kind asked for while {doing}.")
    if code == "ScopeLocked":
        return ProtectedError(f"A lock forbids it at Azure: {doing}.", fix="Whoever set the lock can take it away.")
    if code in {"QuotaExceeded", "OperationNotAllowed"}:
        return QuotaExceededError(f"The Azure subscription's quota does not allow it: {doing}.")
    if reply.status == 404:
        return ResourceMissingError(
            f"Azure does not know what was asked for while {doing}.",
            fix="Check OPTIINFRA_AZURE_SUBSCRIPTIONS." if "Subscription" in code else "",
        )
    if reply.status in {409, 412}:
        return ResourceConflictError(f"Azure cannot do it in the resource's present state: {doing}.")
    if reply.status >= 500 or reply.status == 408:
        return TransientError(f"Azure had a failure of its own while {doing}.", fix="It is tried again by itself.")
    return ProviderError(
        f"Azure refused: {doing} (HTTP {reply.status}).", fix="The log holds the details for an engineer."
    )


def _forbidden(doing: str, text: str, known: str) -> DeniedError:
    found = _ACTION.search(text)
    permission = found.group(1) if found else known
    return DeniedError(
        f"Azure forbids {permission or 'it'} while {doing}.",
        permission=permission,
        fix=f"Allow {permission} to the role that OptiInfra has in this subscription." if permission else "",
    )


def _words(body: object) -> tuple[str, str]:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code", "")), str(error.get("message", ""))


def sub_account(subscription: str) -> str:
    """How Microsoft's bills call a subscription."""
    return f"/subscriptions/{subscription}"


def subscription_of(account_id: str) -> str:
    return account_id.removeprefix("/subscriptions/")


def inner(item: Mapping[str, object], *path: str) -> object:
    """What lies at a path of nested objects; None when a part of it is missing."""
    found: object = item
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def words(item: Mapping[str, object], *path: str) -> str:
    """The same as text, empty when it is not there."""
    found = inner(item, *path)
    return "" if found is None else str(found)
