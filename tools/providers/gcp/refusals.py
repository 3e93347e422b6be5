"""Refusals: Google's errors in our words - typed, with the missing permission, and with nothing of Google's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

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
from tools.providers.rest import Asking, Reply, seconds_of

# Google says "too fast" with 429, but some of its older services with 403 and one of these reasons.
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "jobRateLimitExceeded"}
_QUOTA = {"quotaExceeded", "dailyLimitExceeded", "QUOTA_EXCEEDED", "billingTierLimitExceeded"}
_OFF = {"accessNotConfigured", "SERVICE_DISABLED", "API_DISABLED"}
_NO_BILLING = {"billingNotEnabled", "BILLING_DISABLED", "accountDisabled"}
_CAPACITY = {
    "ZONE_RESOURCE_POOL_EXHAUSTED",
    "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
    "REGION_RESOURCE_POOL_EXHAUSTED",
    "RESOURCE_POOL_EXHAUSTED",
    "resourcePoolExhausted",
    "stockout",
}
_IN_USE = {"resourceInUseByAnotherResource", "resourceNotReady", "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"}
_TOO_MUCH = {"bytesBilledLimitExceeded"}
# "Required 'compute.disks.list' permission for ...": the only part of Google's text that is used.
_PERMISSION = re.compile(r"\b([a-z][a-zA-Z]{1,40}\.[a-zA-Z]{1,40}\.[a-zA-Z]{1,40})\b")
_IS_HOST = re.compile(r"\.(com|org|net|io)$|googleapis")


def told_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After asks for; None when it does not."""
    return seconds_of(headers.get("retry-after", ""), datetime.now(UTC))


def refuse(reply: Reply, asking: Asking) -> ProviderError:
    """A refusal as a typed error that holds nothing of Google's text but a checked permission name."""
    doing, reasons = asking.doing, set(_reasons(reply.body))
    if reply.status == 429 or reasons & _TOO_FAST:
        return ThrottledError(
            f"Google Cloud asks to be called less often while {doing}.", fix="It is tried again later."
        )
    if reply.status == 401:
        return DeniedError(
            f"Google Cloud does not accept the credentials while {doing}: they are wrong or expired.",
            fix="Renew OPTIINFRA_GCP_TOKEN, or leave it empty where a metadata server gives tokens.",
        )
    if reasons & _TOO_MUCH:
        return ProviderError(
            f"Google Cloud did not run the query while {doing}: it would read more than allowed.",
            fix="Raise OPTIINFRA_GCP_QUERY_GIGABYTES if that is what it should cost.",
        )
    if reasons & _QUOTA:
        return QuotaExceededError(
            f"The Google Cloud project's quota does not allow it: {doing}.", fix="Ask Google for a higher quota."
        )
    if reasons & _CAPACITY:
        return _sold_out(doing)
    if reply.status == 403:
        return _forbidden(reply, asking, reasons)
    if reply.status == 404:
        return ResourceMissingError(
            f"Google Cloud does not know what was asked for while {doing}.",
            fix="Check the names in OPTIINFRA_GCP_PROJECTS and OPTIINFRA_GCP_BILLING_TABLE.",
        )
    if reply.status in {409, 412} or reasons & _IN_USE:
        return ResourceConflictError(f"Google Cloud cannot do it in the resource's present state: {doing}.")
    if reply.status >= 500 or reply.status == 408:
        return TransientError(
            f"Google Cloud had a failure of its own while {doing}.", fix="It is tried again by itself."
        )
    return ProviderError(
        f"Google Cloud refused: {doing} (HTTP {reply.status}).", fix="Check the Google Cloud settings."
    )


def failed(operation: object, asking: Asking) -> ProviderError | None:
    """Why an operation that Google had accepted failed after all, typed; None when it did not (yet)."""
    error = operation.get("error") if isinstance(operation, dict) else None
    if not isinstance(error, dict):
        return None
    listed = error.get("errors")
    codes = {str(one.get("code", "")) for one in listed if isinstance(one, dict)} if isinstance(listed, list) else set()
    if codes & _CAPACITY:
        return _sold_out(asking.doing)
    if codes & _QUOTA:
        return QuotaExceededError(f"The Google Cloud project's quota does not allow it: {asking.doing}.")
    if codes & _IN_USE:
        return ResourceConflictError(f"Google Cloud cannot do it in the resource's present state: {asking.doing}.")
    return ProviderError(
        f"Google Cloud began and gave up: {asking.doing}.", fix="The project's activity log tells why."
    )


def _sold_out(doing: str) -> CapacityUnavailableError:
    return CapacityUnavailableError(f"Google Cloud has no capacity of the kind asked for while {doing}.")


def _forbidden(reply: Reply, asking: Asking, reasons: set[str]) -> ProviderError:
    doing = asking.doing
    if reasons & _OFF:
        return DeniedError(
            f"The Google Cloud API is switched off in this project: {doing}.",
            fix="Enable the API in the project (gcloud services enable).",
        )
    if reasons & _NO_BILLING:
        return DeniedError(
            f"The Google Cloud project has no active billing account, so Google refuses {doing}.",
            fix="Link the project to an open billing account.",
        )
    permission = _permission(reply.body) or asking.permission
    return DeniedError(
        f"Google Cloud forbids {permission or 'this'} while {doing}.",
        permission=permission,
        fix=f"Grant {permission} to the identity that OptiInfra uses (deploy/gcp/reader.yaml)." if permission else "",
    )


def _error(body: object) -> Mapping[str, object]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _reasons(body: object) -> Iterator[str]:
    """Every reason that the error names, in the old style (errors) and in the new one (status, details)."""
    error = _error(body)
    for part in ("errors", "details"):
        listed = error.get(part)
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, dict) and one.get("reason"):
                yield str(one["reason"])


def _permission(body: object) -> str:
    """The permission that was missing, "compute.disks.list": from the error's details, else from its message."""
    error = _error(body)
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        known = detail.get("metadata") if isinstance(detail, dict) else None
        if isinstance(known, dict) and _PERMISSION.fullmatch(str(known.get("permission", ""))):
            return str(known["permission"])
    found = [p for p in _PERMISSION.findall(str(error.get("message", ""))) if not _IS_HOST.search(p)]
    return str(found[0]) if found else ""
