"""Connection: questions to Google Cloud's services, all pages of an answer, and the token that proves who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.model.errors import DeniedError, ProviderError
from tools.providers.gcp.refusals import refuse, told_wait
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
)
from tools.settings import Settings

# What Google calls itself on its bills.
PROVIDER = "Google Cloud"
SETTING = "OPTIINFRA_GCP_ENDPOINT"
HOSTS = {
    "bigquery": "https://bigquery.googleapis.com",
    "cloudbilling": "https://cloudbilling.googleapis.com",
    "compute": "https://compute.googleapis.com",
    "monitoring": "https://monitoring.googleapis.com",
    "recommender": "https://recommender.googleapis.com",
    "resourcemanager": "https://cloudresourcemanager.googleapis.com",
    "sqladmin": "https://sqladmin.googleapis.com",
    "storage": "https://storage.googleapis.com",
}
# Each service counts for itself; the strictest that we call (Cloud SQL, Recommender) allow a few a second.
PER_SECOND = 5.0
BURST = 20.0
# A token is renewed this long before it ends.
EARLY_SECONDS = 120.0
PATIENT = 10.0
TOKEN = Asking("asking the metadata server for a token", budget=PATIENT)
WHO = Asking("asking the metadata server who we are", budget=PATIENT)
_ACCOUNT = "computeMetadata/v1/instance/service-accounts/default"


@dataclass
class Identity:
    """Who asks: a token that was given, or the service account attached to the machine, from its metadata server.

    Key files of service accounts are not read: attach the account to the machine instead, which needs no secret.
    """

    given: str = field(repr=False)
    metadata: Rest
    clock: Callable[[], float] = time.monotonic
    _token: str = field(default="", repr=False)
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def header(self) -> Mapping[str, str]:
        """The header that proves it. Raises DeniedError where nobody gives a token."""
        return {"Authorization": f"Bearer {self.given or self._attached()}"}

    def renew(self) -> bool:
        """Forget a token that was refused; False when there is no other one to be had."""
        with self._lock:
            self._token = ""
        return not self.given

    def name(self) -> str:
        """Who we are, for people."""
        if self.given:
            return "the token of OPTIINFRA_GCP_TOKEN"
        told = self._ask("?recursive=true", WHO)
        return str(told.get("email") or "the machine's service account")

    def _attached(self) -> str:
        with self._lock:
            if not self._token or self.clock() >= self._until:
                told = self._ask("token", TOKEN)
                token, seconds = told.get("access_token"), told.get("expires_in")
                if not isinstance(token, str) or not isinstance(seconds, int):
                    raise not_as_described("The metadata server", TOKEN.doing)
                self._token = token
                self._until = self.clock() + max(0.0, seconds - EARLY_SECONDS)
            return self._token

    def _ask(self, what: str, asking: Asking) -> Document:
        try:
            return self.metadata.get(f"{_ACCOUNT}/{what}", asking)
        except ProviderError as error:
            raise DeniedError(
                "There are no Google Cloud credentials: no token is set and no metadata server gives one.",
                fix="Run where a service account is attached, or set OPTIINFRA_GCP_TOKEN. Key files are not read.",
            ) from error


@dataclass(frozen=True)
class Connection:
    """How to reach Google Cloud: which projects, as whom, one door per service.

    `executors` are the doors of the identity that may change things; they are asked under a lease, so not patiently.
    """

    projects: tuple[str, ...]
    identity: Identity
    services: Mapping[str, Rest]
    executors: Mapping[str, Rest]

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """From the settings; raises SettingsError for an endpoint that is no URL."""
        metadata = Rest(
            "The metadata server",
            f"http://{settings.gcp_metadata_host}",
            "GCE_METADATA_HOST",
            lambda: {"Metadata-Flavor": "Google"},
            _no_token,
            told_wait,
            Pace(PER_SECOND, BURST),
            attempts=3,
            read_seconds=5,
        )
        identity = Identity(settings.gcp_token.get_secret_value(), metadata)
        other = settings.gcp_executor_token.get_secret_value()
        return cls(
            settings.gcp_projects,
            identity,
            _doors(settings.gcp_endpoint, identity),
            _doors(
                settings.gcp_endpoint, Identity(other, metadata) if other else identity, EFFECT_ATTEMPTS, EFFECT_SECONDS
            ),
        )

    def effects(self, service: str) -> Rest:
        """The door through which a service is told to change something."""
        return self.executors[service]

    def may_change(self, project: str, permissions: tuple[str, ...], asking: Asking) -> frozenset[str]:
        """Which of the permissions the identity that changes things has in a project."""
        where, body = f"v3/projects/{project}:testIamPermissions", {"permissions": list(permissions)}
        return granted(self.effects("resourcemanager").ask("POST", where, asking, body=body), asking)

    def get(self, service: str, path: str, asking: Asking, **parameters: str) -> Document:
        return self.services[service].get(path, asking, **parameters)

    def post(self, service: str, path: str, body: object, asking: Asking) -> Document:
        """A question that Google takes as a POST; it changes nothing either."""
        return self.services[service].ask("POST", path, asking, body=body)

    def pages(
        self, service: str, path: str, asking: Asking, *, effects: bool = False, **parameters: str
    ) -> Iterator[Document]:
        """Every page of a list, by Google's pageToken and nextPageToken; with `effects` asked by who changes things."""
        door = self.effects(service) if effects else self.services[service]

        def ask(token: str) -> tuple[Document, str]:
            page = door.get(path, asking, **parameters, **({"pageToken": token} if token else {}))
            return page, str(page.get("nextPageToken") or "")

        return door.pages(ask, asking)

    def listing(self, service: str, path: str, key: str, asking: Asking, **parameters: str) -> list[Document]:
        """Every item of a list, all pages; Google leaves the list out where a page has none."""
        pages = self.pages(service, path, asking, effects=False, **parameters)
        return [item for page in pages for item in items(page, key, asking)]

    def permitted(self, project: str, permissions: tuple[str, ...], asking: Asking) -> frozenset[str]:
        """Which of the permissions the identity has in a project."""
        told = self.post(
            "resourcemanager",
            f"v3/projects/{project}:testIamPermissions",
            {"permissions": list(permissions)},
            asking,
        )
        return granted(told, asking)

    @property
    def skew_seconds(self) -> float:
        """How far this machine's clock is ahead of Google's, the worst that any service told."""
        return max((door.skew_seconds for door in self.services.values()), key=abs, default=0.0)


def _doors(
    endpoint: str, identity: Identity, attempts: int = ATTEMPTS, read_seconds: float = READ_SECONDS
) -> dict[str, Rest]:
    return {
        name: Rest(
            PROVIDER,
            endpoint or host,
            SETTING,
            identity.header,
            refuse,
            told_wait,
            Pace(PER_SECOND, BURST),
            renew=identity.renew,
            attempts=attempts,
            read_seconds=read_seconds,
        )
        for name, host in HOSTS.items()
    }


def items(page: Mapping[str, object], key: str, asking: Asking) -> list[Document]:
    """The objects of one page; none where the page has no list. Raises ProviderError for anything else."""
    found = page.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise not_as_described(PROVIDER, asking.doing)
    return found


def granted(told: Mapping[str, object], asking: Asking) -> frozenset[str]:
    """What testIamPermissions answered; the key is absent where nothing is granted."""
    found = told.get("permissions", [])
    if not isinstance(found, list):
        raise not_as_described(PROVIDER, asking.doing)
    return frozenset(str(permission) for permission in found)


def _no_token(reply: Reply, asking: Asking) -> ProviderError:
    return ProviderError(f"The metadata server refused (HTTP {reply.status}) while {asking.doing}.")
