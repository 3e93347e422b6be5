"""Identity: the bearer token for Azure - a given one, or one that the application asks for and renews."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.model.errors import DeniedError, ProviderError, SettingsError, ThrottledError, TransientError
from tools.providers.rest import Asking, Reply, Rest
from tools.settings import Settings

SCOPE = "https://management.azure.com/.default"
SCOPE_STORAGE = "https://storage.azure.com/.default"
ASKING = Asking("asking for a token")
# A token is renewed this long before it ends.
EARLY_SECONDS = 120.0


@dataclass
class Identity:
    """Who we are at Azure: `token` as it was given, or a tenant's application with its secret (client credentials)."""

    token: str = field(repr=False)
    tenant: str = ""
    client: str = ""
    secret: str = field(default="", repr=False)
    login: Rest | None = None
    scope: str = SCOPE
    clock: Callable[[], float] = time.monotonic
    _asked: str = field(default="", repr=False)
    _ends: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def to(self, scope: str) -> Identity:
        """The same one before another of Azure's services, which takes only tokens for itself."""
        return Identity(self.token, self.tenant, self.client, self.secret, self.login, scope, self.clock)

    @property
    def name(self) -> str:
        return f"application {self.client}" if self.client and not self.token else "the given token"

    def header(self) -> dict[str, str]:
        """The header that proves who we are. Raises a ProviderError when no token is to be had."""
        return {"Authorization": f"Bearer {self.token or self._own()}"}

    def renew(self) -> bool:
        """Forget a refused token; whether another can be asked for."""
        with self._lock:
            self._asked, self._ends = "", 0.0
        return not self.token

    def _own(self) -> str:
        with self._lock:
            if not self._asked or self.clock() >= self._ends:
                self._asked, self._ends = self._ask()
            return self._asked

    def _ask(self) -> tuple[str, float]:
        assert self.login is not None
        told = self.login.ask(
            "POST",
            f"/{self.tenant}/oauth2/v2.0/token",
            ASKING,
            form={
                "grant_type": "client_credentials",
                "client_id": self.client,
                "client_secret": self.secret,
                "scope": self.scope,
            },
            authorized=False,
        )
        token, lasts = told.get("access_token"), told.get("expires_in")
        if not token or not isinstance(lasts, int) or lasts <= 0:
            raise DeniedError("Microsoft Entra gave no usable token.", fix=_FIX)
        # Counted on our own clock from now, so that a wrong wall clock does not matter.
        return str(token), self.clock() + max(1.0, lasts - EARLY_SECONDS)


_FIX = "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; the secret may have expired."


def reader_of(settings: Settings, login: Rest) -> Identity:
    """Who reads."""
    return Identity(
        settings.azure_token.get_secret_value(),
        settings.azure_tenant_id,
        settings.azure_client_id,
        settings.azure_client_secret.get_secret_value(),
        login,
    )


def executor_of(settings: Settings, login: Rest) -> Identity | None:
    """Who makes approved changes; None when that is who reads."""
    token, client = settings.azure_executor_token.get_secret_value(), settings.azure_executor_client_id
    if not token and not client:
        return None
    return Identity(
        token, settings.azure_tenant_id, client, settings.azure_executor_client_secret.get_secret_value(), login
    )


def require_proof(settings: Settings) -> None:
    """Raises SettingsError when nothing proves who we are, although subscriptions or exports are to be read."""
    application = (settings.azure_tenant_id, settings.azure_client_id, settings.azure_client_secret.get_secret_value())
    if not settings.azure_token.get_secret_value() and not all(application):
        raise SettingsError(
            "Azure is to be read, but nothing proves who we are there.",
            fix="Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or OPTIINFRA_AZURE_TOKEN.",
        )


def refuse_login(reply: Reply, asking: Asking) -> ProviderError:
    """Microsoft Entra's refusal in our words."""
    if reply.status == 429:
        return ThrottledError("Microsoft Entra asks to be called less often.", fix="It is tried again later.")
    if reply.status >= 500:
        return TransientError("Microsoft Entra had a failure of its own.", fix="It is tried again by itself.")
    return DeniedError("Microsoft Entra does not accept the application's credentials.", fix=_FIX)
