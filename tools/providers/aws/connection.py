"""Connection: clients per account, region and role, made once and shared."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, overload

from tools.model.errors import SettingsError
from tools.providers.aws.refusals import no_credentials, our_words
from tools.settings import Settings

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from botocore.loaders import Loader
    from botocore.session import Session as BotocoreSession
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

PROVIDER = "AWS"
HOME_REGION = "us-east-1"
CONNECT_SECONDS = 5
READ_SECONDS: float = 10


@dataclass(frozen=True)
class Connection:
    """How to reach AWS: which accounts and regions, through which roles. Clients are made once and shared.

    Without `accounts` it is the one account of the credentials themselves. With a role, each account's role of
    that name is assumed; changes go through `executor_role`, so that the reader can stay read-only.
    """

    regions: tuple[str, ...]
    endpoint: str = ""
    accounts: tuple[str, ...] = ()
    reader_role: str = ""
    executor_role: str = ""
    external_id: str = field(default="", repr=False)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    _sessions: dict[tuple[str, str], Session] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """From the settings; raises SettingsError when accounts are named without a role to reach them."""
        if len(settings.aws_accounts) > 1 and not settings.aws_reader_role:
            raise SettingsError(
                "OPTIINFRA_AWS_ACCOUNTS names several accounts, but no role by which they can be read.",
                fix="Set OPTIINFRA_AWS_READER_ROLE to the name of the role in each account.",
            )
        if settings.aws_endpoint_url and not settings.aws_endpoint_url.startswith(("http://", "https://")):
            raise SettingsError("AWS_ENDPOINT_URL is no URL.", fix="Write it as https://HOST or leave it empty.")
        return cls(
            regions=settings.aws_regions,
            endpoint=settings.aws_endpoint_url,
            accounts=settings.aws_accounts,
            reader_role=settings.aws_reader_role,
            executor_role=settings.aws_executor_role or settings.aws_reader_role,
            external_id=settings.aws_external_id.get_secret_value(),
        )

    @property
    def home(self) -> str:
        """The region in which what has no region of its own is asked."""
        return self.regions[0] if self.regions else HOME_REGION

    @overload
    def client(
        self, service: Literal["autoscaling"], account_id: str, region: str, *, effects: bool = ...
    ) -> AutoScalingClient: ...
    @overload
    def client(self, service: Literal["ec2"], account_id: str, region: str, *, effects: bool = ...) -> EC2Client: ...
    @overload
    def client(
        self, service: Literal["cloudwatch"], account_id: str, region: str, *, effects: bool = ...
    ) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["s3"], account_id: str, region: str, *, effects: bool = ...) -> S3Client: ...
    @overload
    def client(self, service: Literal["sts"], account_id: str, region: str, *, effects: bool = ...) -> STSClient: ...
    @overload
    def client(self, service: str, account_id: str, region: str, *, effects: bool = ...) -> Any: ...
    def client(self, service: str, account_id: str, region: str, *, effects: bool = False) -> Any:
        """A client of `service`; with `effects` it acts through the executor's role and never repeats a call itself."""
        role = self.executor_role if effects else self.reader_role
        key = (service, account_id, region, role, "effects" if effects else "reads")
        with self._lock, our_words("connecting"):
            if key not in self._clients:
                self._clients[key] = self._session(account_id, role).client(
                    service,  # type: ignore[call-overload]  # the stubs know some services only
                    region_name=region,
                    endpoint_url=self.endpoint or None,
                    config=_config(attempts=1 if effects else 4),
                )
            return self._clients[key]

    def _session(self, account_id: str, role: str) -> Session:
        import boto3

        with self._lock:
            if (account_id, role) not in self._sessions:
                own = boto3.Session(botocore_session=_bare(), region_name=self.home)
                self._sessions[account_id, role] = self._assumed(own, account_id, role) if role and account_id else own
            return self._sessions[account_id, role]

    def _assumed(self, own: Session, account_id: str, role: str) -> Session:
        """A session in the account's role whose short-lived credentials renew themselves."""
        import boto3
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        source = own.get_credentials()
        if source is None:
            raise no_credentials()
        extra = {"RoleSessionName": "optiinfra"} | ({"ExternalId": self.external_id} if self.external_id else {})
        base = _bare()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(
                base.create_client,
                endpoint_url=self.endpoint or None,
                region_name=self.home,
                config=_config(attempts=4),
            ),
            source_credentials=source,
            role_arn=f"arn:aws:iam::{account_id}:role/{role}",
            extra_args=extra,
        )
        inner = _bare()
        inner._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # botocore's own way
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        return boto3.Session(botocore_session=inner, region_name=self.home)


def _bare() -> BotocoreSession:
    from botocore.session import get_session

    session = get_session()
    session.register_component("data_loader", _service_models())
    return session


@lru_cache(maxsize=1)
def _service_models() -> Loader:
    """AWS's service descriptions: megabytes of data, the same for every account, so read once."""
    from botocore.loaders import create_loader

    return create_loader()


def _config(*, attempts: int) -> Config:
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        # Adaptive: an account that throttles slows its own client down, instead of being asked as fast as before.
        retries={"mode": "adaptive" if attempts > 1 else "standard", "total_max_attempts": attempts},
        user_agent_extra="optiinfra",
    )
