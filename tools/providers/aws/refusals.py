"""Refusals: AWS's errors in our words - typed, with the missing permission, and with nothing of the SDK's text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    ProviderError,
    QuotaExceededError,
    ResourceConflictError,
    ResourceMissingError,
    ThrottledError,
    TransientError,
)
from tools.providers.aws.permissions import action_of

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

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
    "ProvisionedThroughputExceededException",
    "RequestThrottledByService",
    "TooManyRequests",
}
# These words mean "too often" where one asks for a bill, and "too many" where one makes things.
_THROTTLED_READS = {"LimitExceededException", "LimitExceeded"}
# The clock of this machine (or of AWS) is wrong: signatures are only good for minutes.
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture", "SignatureNotYetValid"}
_CLOCK_WORDS = ("signature expired", "signature not yet current", "not yet current", "clock")
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
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "TokenRefreshRequired",
}
_FORBIDDEN = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "AuthorizationError",
    "NotAuthorized",
    "OptInRequired",
    "OptInRequiredException",
}
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
    "ConflictException",
    "OperationAborted",
    "ResourceConflictException",
    "ResourceInUseException",
    "IncorrectModificationState",
    "DependencyViolation",
    "InvalidDBInstanceState",
    "InvalidDBInstanceStateFault",
    "PreconditionFailed",
    "ConcurrentModification",
}
_CAPACITY = {
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacity",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "InsufficientDBInstanceCapacity",
    "InsufficientDBInstanceCapacityFault",
    "InsufficientAddressCapacity",
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
    "ResourceLimitExceeded",
    "ResourceLimitExceededException",
    "InstanceQuotaExceeded",
    "StorageQuotaExceeded",
    "MaxIOPSLimitExceeded",
    "AddressLimitExceeded",
    "SnapshotLimitExceeded",
}
_MISSING = {"DBInstanceNotFound", "DBInstanceNotFoundFault", "404", "ResourceNotFoundException", "LoadBalancerNotFound"}
_UNCLEAR = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "InternalServiceError",
    "InternalServiceException",
    "ServiceException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ServerException",
    "Unavailable",
    "RequestTimeout",
    "RequestTimeoutException",
    "InvalidNextTokenException",
    "RequestChangedException",
}
# "... is not authorized to perform: ec2:DescribeVolumes on resource ...": the only part of AWS's text that is used.
_ACTION = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z0-9]+)")
_READS = ("Get", "List", "Describe")
_WORD = re.compile(r"[A-Za-z0-9.]{1,64}")


@contextmanager
def our_words(doing: str) -> Iterator[None]:
    """Turn what the SDK raises inside into a ProviderError. `doing` completes 'AWS did not answer while ...'."""
    from botocore import exceptions as sdk

    try:
        yield
    except sdk.ClientError as error:
        raise translate(error, doing) from error
    except (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError) as error:
        raise no_credentials() from error
    except (sdk.HTTPClientError, sdk.ConnectionError, sdk.IncompleteReadError) as error:
        # Connections refused or cut (also in the middle of an answer) and timeouts: the call may have arrived.
        raise TransientError(
            f"AWS did not answer while {doing}.",
            changed="Whether AWS carried it out is not known; what is there now is looked at before anything else.",
            fix="It is tried again by itself; check the network or AWS_ENDPOINT_URL if it stays so.",
        ) from error
    except sdk.PaginationError as error:
        raise ProviderError(
            f"AWS hands out the same page again and again while {doing}; nothing of it is used.",
            fix="It is tried again at the next collection.",
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
    if code in _THROTTLED or status == 429 or (code in _THROTTLED_READS and error.operation_name.startswith(_READS)):
        return ThrottledError(f"AWS asks to be called less often while {doing}.", fix="It is tried again later.")
    if code in _CLOCK or (code in _NO_IDENTITY and _about_time(error)):
        return DeniedError(
            f"AWS does not accept the time of this machine ({shown}) while {doing}.",
            fix="Set the machine's clock right (NTP): AWS refuses what is signed more than five minutes off.",
        )
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
    if "NotFound" in code or code.startswith("NoSuch") or code in _MISSING:
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
    return action_of(error.operation_name)


def _about_time(error: ClientError) -> bool:
    """AWS says it in the text only; nothing of that is shown."""
    message = str(error.response.get("Error", {}).get("Message", "")).lower()
    return any(word in message for word in _CLOCK_WORDS)


def no_credentials() -> DeniedError:
    return DeniedError(
        "There are no AWS credentials.",
        fix="Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run where a role is attached.",
    )
