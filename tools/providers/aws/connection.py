"""Connection: clients per account and region, and AWS's errors in our words."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, overload

from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    ProviderError,
    QuotaExceededError,
    ResourceConflictError,
    ResourceMissingError,
    SettingsError,
    ThrottledError,
    TransientError,
)
from tools.settings import Settings

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader
    from botocore.session import Session as BotocoreSession
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

PROVIDER = "AWS"
CONNECT_SECONDS = 5
READ_SECONDS = 10

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "SlowDown",
    "PriorRequestNotComplete",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
}
_NO_IDENTITY = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "IncompleteSignature",
}
_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "OptInRequired"}
_CONFLICT = {
    "IncorrectInstanceState",
    "IncorrectState",
    "ResourceInUse",
    "ResourceContention",
    "ResourceContentionFault",
    "ScalingActivityInProgress",
    "ScalingActivityInProgressFault",
    "InstanceRefreshInProgress",
    "OperationNotPermitted",
    "VolumeInUse",
}
_CAPACITY = {
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacity",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
}
_QUOTA = {
    "InstanceLimitExceeded",
    "VcpuLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "MaxSpotFleetRequestCountExceeded",
    "LimitExceeded",
    "LimitExceededException",
    "ServiceQuotaExceededException",
    "VolumeLimitExceeded",
}
_UNCLEAR = {"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"}
# "... is not authorized to perform: ec2:DescribeVolumes on resource ...": the only part of AWS's text that is used.
_ACTION = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z0-9]+)")
_WORD = re.compile(r"[A-Za-z0-9.]{1,64}")


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
    external_id: str = ""
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
    def client(self, service: str, account_id: str, region: str, *, effects: bool = False) -> Any:
        """A client of `service`; with `effects` it acts through the executor's role and never repeats a call itself."""
        role = self.executor_role if effects else self.reader_role
        key = (service, account_id, region, role, "effects" if effects else "reads")
        with self._lock, our_words("connecting"):
            if key not in self._clients:
                self._clients[key] = self._session(account_id, role).client(
                    service,  # type: ignore[call-overload]  # one of the literals above
                    region_name=region,
                    endpoint_url=self.endpoint or None,
                    config=_config(attempts=1 if effects else 4),
                )
            return self._clients[key]

    def _session(self, account_id: str, role: str) -> Session:
        import boto3

        with self._lock:
            if (account_id, role) not in self._sessions:
                own = boto3.Session(botocore_session=_bare(), region_name=self.regions[0])
                self._sessions[account_id, role] = self._assumed(own, account_id, role) if role and account_id else own
            return self._sessions[account_id, role]

    def _assumed(self, own: Session, account_id: str, role: str) -> Session:
        """A session in the account's role whose short-lived credentials renew themselves."""
        import boto3
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        source = own.get_credentials()
        if source is None:
            raise _no_credentials()
        extra = {"RoleSessionName": "optiinfra"} | ({"ExternalId": self.external_id} if self.external_id else {})
        base = _bare()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(
                base.create_client,
                endpoint_url=self.endpoint or None,
                region_name=self.regions[0],
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
        return boto3.Session(botocore_session=inner, region_name=self.regions[0])


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
        retries={"mode": "standard", "total_max_attempts": attempts},
        user_agent_extra="optiinfra",
    )


@contextmanager
def our_words(doing: str) -> Iterator[None]:
    """Turn what the SDK raises inside into a ProviderError. `doing` completes 'AWS did not answer while ...'."""
    from botocore import exceptions as sdk

    try:
        yield
    except sdk.ClientError as error:
        raise translate(error, doing) from error
    except (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError) as error:
        raise _no_credentials() from error
    except (sdk.HTTPClientError, sdk.ConnectionError) as error:
        # Connections refused or cut and timeouts: the call may have arrived.
        raise TransientError(
            f"AWS did not answer while {doing}.",
            changed="Whether AWS carried it out is not known; what is there now is looked at before anything else.",
            fix="It is tried again by itself; check the network or AWS_ENDPOINT_URL if it stays so.",
        ) from error
    except sdk.ParamValidationError:
        # A call that we built wrongly: a mistake of ours, not something a person could mend.
        raise
    except sdk.BotoCoreError as error:
        raise ProviderError(
            f"AWS could not be asked: {doing} failed before anything was sent ({type(error).__name__}).",
            fix="Check the AWS settings: AWS_PROFILE, AWS_REGION, the shared config file, OPTIINFRA_AWS_REGIONS.",
        ) from error


def translate(error: ClientError, doing: str) -> ProviderError:
    """A refusal of AWS as a typed error whose sentence holds nothing of the SDK's text but checked words."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    shown = code if _WORD.fullmatch(code) else "an unnamed error"
    if code in _THROTTLED or status == 429:
        return ThrottledError(f"AWS asks to be called less often while {doing}.", fix="It is tried again later.")
    if code in _NO_IDENTITY:
        return DeniedError(
            f"AWS does not accept the credentials ({shown}) while {doing}.",
            fix="Renew the AWS credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE or the role).",
        )
    if code in _FORBIDDEN or status == 403:
        action = permission(error)
        return DeniedError(
            f"AWS forbids {action} while {doing}.",
            permission=action,
            fix=f"Allow {action} to the role that OptiInfra uses in this account.",
        )
    if code in _CAPACITY:
        return CapacityUnavailableError(f"AWS has no capacity of the kind asked for while {doing} ({shown}).")
    if code in _QUOTA:
        return QuotaExceededError(
            f"The AWS account's quota does not allow it: {doing} ({shown}).", fix="Ask AWS for a higher quota."
        )
    if code in _CONFLICT:
        return ResourceConflictError(f"AWS cannot do it in the resource's present state: {doing} ({shown}).")
    if "NotFound" in code or code.startswith("NoSuch"):
        return ResourceMissingError(f"AWS does not know the resource any more: {doing} ({shown}).")
    if status >= 500 or code in _UNCLEAR:
        return TransientError(
            f"AWS had a failure of its own while {doing} ({shown}).",
            changed="Whether AWS carried it out is not known; what is there now is looked at before anything else.",
            fix="It is tried again by itself.",
        )
    return ProviderError(f"AWS refused: {doing} ({shown}).", fix="The log holds the details for an engineer.")


def permission(error: ClientError) -> str:
    """The IAM action that was missing, "ec2:DescribeVolumes": from AWS's message, else from the call itself."""
    found = _ACTION.search(str(error.response.get("Error", {}).get("Message", "")))
    if found:
        return found.group(1)
    return _IAM.get(error.operation_name, error.operation_name)


_IAM = {
    "DescribeAutoScalingGroups": "autoscaling:DescribeAutoScalingGroups",
    "UpdateAutoScalingGroup": "autoscaling:UpdateAutoScalingGroup",
    "AssumeRole": "sts:AssumeRole",
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "GetMetricData": "cloudwatch:GetMetricData",
    "DescribeInstances": "ec2:DescribeInstances",
    "DescribeVolumes": "ec2:DescribeVolumes",
    "DescribeSnapshots": "ec2:DescribeSnapshots",
    "DescribeAddresses": "ec2:DescribeAddresses",
    "DescribeImages": "ec2:DescribeImages",
    "DescribeLaunchTemplateVersions": "ec2:DescribeLaunchTemplateVersions",
    "DescribeSpotPriceHistory": "ec2:DescribeSpotPriceHistory",
}


def _no_credentials() -> DeniedError:
    return DeniedError(
        "There are no AWS credentials.",
        fix="Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run where a role is attached.",
    )
