"""Connection: questions to Vultr's API, all pages of an answer, and its refusals in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tools.model.errors import (
    DeniedError,
    ProviderError,
    ResourceConflictError,
    ResourceMissingError,
    ThrottledError,
    TransientError,
)
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

PROVIDER = "Vultr"
ENDPOINT = "https://api.vultr.com"
# Vultr allows 30 requests a second and address.
PER_SECOND, AT_ONCE = 10.0, 20.0
PER_PAGE = "500"
VIEW, BILLING, BALANCERS = "subscriptions_view", "billing", "loadbalancer"
# A key with one of these may change things, which reading does not need.
CHANGING = frozenset({"subscriptions", "provisioning", "upgrade", "manage_users", "dns", "firewall", "objstore"})
_EASTERN = "America/New_York"


@dataclass(frozen=True, slots=True)
class Account:
    """Who the API key belongs to. Vultr gives an account no id, so its name is one."""

    name: str
    permissions: frozenset[str]
    pending: object

    @property
    def identity(self) -> str:
        can = sorted(CHANGING & self.permissions)
        return f"{self.name} (the key may also change things: {', '.join(can)})" if can else f"{self.name} (reads only)"


@dataclass(frozen=True)
class Connection:
    """How to reach Vultr with an API key; `effects` is the door for changes, asked under a lease, so not patiently."""

    rest: Rest
    effects: Rest

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """From the settings; raises SettingsError for an endpoint that is no URL."""
        key = settings.vultr_api_key.get_secret_value()
        other = settings.vultr_executor_api_key.get_secret_value()
        return cls(
            _door(settings.vultr_endpoint, key),
            _door(settings.vultr_endpoint, other or key, EFFECT_ATTEMPTS, EFFECT_SECONDS),
        )

    def account(self, *, effects: bool = False) -> Account:
        """Whose key it is (with `effects` the one for changes), what it may do and what is not invoiced yet."""
        asking = Asking("asking whose API key it is")
        told = (self.effects if effects else self.rest).get("/v2/account", asking).get("account")
        if not isinstance(told, dict) or not told.get("name"):
            raise not_as_described(PROVIDER, asking.doing)
        acls = told.get("acls")
        names = frozenset(str(acl) for acl in acls) if isinstance(acls, list) else frozenset()
        return Account(str(told["name"]), names, told.get("pending_charges"))

    def listing(
        self, path: str, key: str, asking: Asking, *, sized: bool = True, effects: bool = False
    ) -> list[Document]:
        """Every item of a list, all pages. `sized`: the list takes a page size; `effects`: asked by who changes."""
        return [item for page in self.pages(path, key, asking, sized=sized, effects=effects) for item in page]

    def pages(
        self, path: str, key: str, asking: Asking, *, sized: bool = True, effects: bool = False
    ) -> Iterator[list[Document]]:
        door = self.effects if effects else self.rest

        def ask(cursor: str) -> tuple[list[Document], str]:
            size = {"per_page": PER_PAGE} if sized else {}
            told = door.get(path, asking, **size, **({"cursor": cursor} if cursor else {}))
            items = told.get(key)
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise not_as_described(PROVIDER, asking.doing)
            return items, _next(told)

        return door.pages(ask, asking)


def _door(endpoint: str, key: str, attempts: int = ATTEMPTS, read_seconds: float = READ_SECONDS) -> Rest:
    return Rest(
        PROVIDER,
        endpoint or ENDPOINT,
        "OPTIINFRA_VULTR_ENDPOINT",
        authorize=lambda: {"Authorization": f"Bearer {key}"},
        refuse=refuse,
        told_wait=told_wait,
        pace=Pace(PER_SECOND, AT_ONCE),
        attempts=attempts,
        read_seconds=read_seconds,
    )


def _next(told: Mapping[str, Any]) -> str:
    meta = told.get("meta")
    links = meta.get("links") if isinstance(meta, dict) else None
    return str(links.get("next") or "") if isinstance(links, dict) else ""


def told_wait(headers: Mapping[str, str]) -> float | None:
    return seconds_of(headers.get("retry-after", ""), datetime.now(UTC))


def refuse(reply: Reply, asking: Asking) -> ProviderError:
    """A refusal as a typed error that holds nothing of Vultr's text."""
    doing = asking.doing
    if reply.status == 429:
        return ThrottledError(f"Vultr asks to be called less often while {doing}.", fix="It is tried again later.")
    if reply.status == 401:
        return _not_let_in(reply, doing)
    if reply.status == 403:
        permission = asking.permission
        named = f'the permission "{permission}"' if permission else "this"
        return DeniedError(
            f"Vultr's API key lacks {named} while {doing}.",
            permission=permission,
            fix=f'Allow "{permission}" to the user of the API key (Account, Users, ACLs).' if permission else "",
        )
    if reply.status == 404:
        return ResourceMissingError(f"Vultr does not know what was asked for while {doing}.")
    if reply.status in {409, 422}:
        return ResourceConflictError(f"Vultr cannot do it in the resource's present state: {doing}.")
    if reply.status >= 500:
        return TransientError(f"Vultr had a failure of its own while {doing}.", fix="It is tried again by itself.")
    return ProviderError(f"Vultr refused: {doing} (HTTP {reply.status}).", fix="Check the Vultr settings.")


def _not_let_in(reply: Reply, doing: str) -> DeniedError:
    text = str(reply.body.get("error", "")) if isinstance(reply.body, dict) else ""
    if "ip address" in text.lower():
        return DeniedError(
            f"Vultr does not let this machine's address use the API key while {doing}.",
            fix="Add the address of this machine to the API key's access control at Vultr.",
        )
    return DeniedError(
        f"Vultr does not accept the API key while {doing}.",
        fix="Renew VULTR_API_KEY: it is wrong, disabled or expired.",
    )


def checked_clock(rest: Rest, limit: float = 300.0) -> str:
    """A sentence when this machine's clock and the cloud's differ; days would be cut in the wrong place."""
    if abs(rest.skew_seconds) <= limit:
        return ""
    return f"This machine's clock is {abs(rest.skew_seconds) / 60:.0f} minutes off {rest.provider}'s; set it right."


def moment(text: object, naive: Callable[[], Any] = lambda: ZoneInfo(_EASTERN)) -> datetime | None:
    """A time as Vultr writes it: with its offset, or without one in US Eastern time; None when it is no time."""
    try:
        told = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=naive())).astimezone(UTC)
