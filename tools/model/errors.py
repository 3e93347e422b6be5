"""Errors for a person: what happened, whether anything was changed, what to do next."""

from __future__ import annotations


class OptiInfraError(Exception):
    """Base of everything that is raised on purpose and told to a person at the door.

    `what` is a full sentence. `fix` says what to do next; `changed` says what was changed before it
    happened (nothing, unless said otherwise).
    """

    code = "error"

    def __init__(self, what: str, *, fix: str = "", changed: str = "Nothing was changed.") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.changed = changed

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.changed, self.fix) if part)


class SettingsError(OptiInfraError):
    """A setting is missing or unusable."""

    code = "settings"


class InputError(OptiInfraError):
    """What a person or a file gave cannot be used as it is."""

    code = "input"


class UnknownDimensionError(InputError):
    """A question named a dimension, metric or value that does not exist."""

    code = "unknown_dimension"


class CurrencyMismatchError(OptiInfraError):
    """Two currencies would have been added silently."""

    code = "currency_mismatch"


class NotFoundError(OptiInfraError):
    """The thing with that id does not exist (for this customer)."""

    code = "not_found"


class RefusedError(OptiInfraError):
    """A gate said no. `reason` is one of the fixed words that the audit log keeps."""

    code = "refused"

    def __init__(self, reason: str, what: str, *, fix: str = "", changed: str = "Nothing was changed.") -> None:
        super().__init__(what, fix=fix, changed=changed)
        self.reason = reason


class ConflictError(OptiInfraError):
    """Somebody else changed the same thing first; read it again and decide anew."""

    code = "conflict"


class StoreUnavailableError(OptiInfraError):
    """The database cannot be reached or is locked."""

    code = "store_unavailable"


class ProviderError(OptiInfraError):
    """A cloud (or metrics source) did not do what was asked. Base of the typed ones below."""

    code = "provider"


class ThrottledError(ProviderError):
    """The cloud asks to be called less often."""

    code = "throttled"


class DeniedError(ProviderError):
    """Credentials are missing, expired, or lack a permission; `permission` names it where known."""

    code = "denied"

    def __init__(
        self, what: str, *, permission: str = "", fix: str = "", changed: str = "Nothing was changed."
    ) -> None:
        super().__init__(what, fix=fix, changed=changed)
        self.permission = permission


class ResourceMissingError(ProviderError):
    """The resource does not exist at the cloud."""

    code = "resource_missing"


class DriftError(ResourceMissingError):
    """The resource is not the one that was approved any more; a certain no, and nothing was sent."""

    code = "drift"


class ProtectedError(DeniedError):
    """Somebody protected the resource from this change; `permission` stays empty."""

    code = "protected"


class ResourceConflictError(ProviderError):
    """The resource is in a state that forbids the change."""

    code = "resource_conflict"


class CapacityUnavailableError(ProviderError):
    """The cloud has no capacity of the kind asked for."""

    code = "capacity_unavailable"


class QuotaExceededError(ProviderError):
    """The account's quota does not allow the change."""

    code = "quota_exceeded"


class TransientError(ProviderError):
    """The call may or may not have happened: timeout, connection cut, 5xx. Observe before trying again."""

    code = "transient"


class UnderWayError(ProviderError):
    """A change of several steps has begun, and its next step has to wait; asking again goes on with it."""

    code = "under_way"

    def __init__(self, what: str, *, fix: str = "It goes on by itself.", changed: str = "") -> None:
        super().__init__(what, fix=fix, changed=changed or "Its first part is done, and can be taken back.")
