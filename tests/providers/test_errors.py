"""AWS's refusals in words for a person: typed, with the permission, and without a word of the SDK's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.providers.conftest import REGION
from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    InputError,
    ProviderError,
    QuotaExceededError,
    ResourceConflictError,
    ResourceMissingError,
    SettingsError,
    ThrottledError,
    TransientError,
)
from tools.providers import registry
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words, translate
from tools.providers.base import HealthSource
from tools.settings import Settings

SECRET = "arn:aws:iam::1:user/secret said something nobody should read"


def refusal(code: str, status: int = 400, message: str = SECRET, operation: str = "DescribeVolumes") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestLimitExceeded", 503, ThrottledError),
        ("Throttling", 400, ThrottledError),
        ("Whatever", 429, ThrottledError),
        ("ExpiredToken", 403, DeniedError),
        ("UnauthorizedOperation", 403, DeniedError),
        ("SomethingForbidden", 403, DeniedError),
        ("InsufficientInstanceCapacity", 500, CapacityUnavailableError),
        ("MaxSpotInstanceCountExceeded", 400, QuotaExceededError),
        ("ScalingActivityInProgress", 400, ResourceConflictError),
        ("InvalidVolume.NotFound", 400, ResourceMissingError),
        ("NoSuchBucket", 404, ResourceMissingError),
        ("InternalError", 500, TransientError),
        ("ServiceUnavailable", 503, TransientError),
        ("", 502, TransientError),
        ("ValidationError", 400, ProviderError),
        ("TooManyRequestsException", 429, ThrottledError),
        ("LimitExceededException", 400, ThrottledError),
        ("InvalidSignatureException", 403, DeniedError),
        ("RequestTimeTooSkewed", 403, DeniedError),
        ("OptInRequiredException", 403, DeniedError),
        ("InsufficientDBInstanceCapacity", 400, CapacityUnavailableError),
        ("SnapshotLimitExceeded", 400, QuotaExceededError),
        ("InvalidDBInstanceState", 400, ResourceConflictError),
        ("DBInstanceNotFound", 404, ResourceMissingError),
        ("InternalServerException", 500, TransientError),
        ("InvalidNextTokenException", 400, TransientError),
    ],
)
def test_each_refusal_has_its_kind_and_none_lets_the_sdk_speak(
    code: str, status: int, kind: type[ProviderError]
) -> None:
    """What AWS writes may hold anything; people read our words."""
    told = translate(refusal(code, status), "listing volumes")
    assert type(told) is kind
    assert "listing volumes" in str(told)
    assert "secret" not in str(told)


@pytest.mark.parametrize(
    ("code", "message", "about"),
    [
        ("SignatureDoesNotMatch", "Signature expired: 20261123T0800Z is now earlier than 20261123T0815Z", "time"),
        ("RequestTimeTooSkewed", "too large", "time"),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", "credentials"),
        ("RequestExpired", "The security token included in the request is expired", "credentials"),
    ],
)
def test_a_wrong_clock_is_told_from_a_wrong_key(code: str, message: str, about: str) -> None:
    """One code may mean either; renewing a key does not set a clock."""
    told = translate(refusal(code, 403, message), "looking")
    assert about in told.what
    assert ("NTP" in told.fix) == (about == "time")


def test_too_often_where_one_asks_is_too_many_where_one_makes() -> None:
    """The same code is a rate limit of a question and a quota of a change."""
    assert isinstance(translate(refusal("LimitExceededException", operation="GetCostAndUsage"), "x"), ThrottledError)
    assert isinstance(translate(refusal("LimitExceededException", operation="CreateVolume"), "x"), QuotaExceededError)


def test_a_code_that_is_no_word_is_not_shown() -> None:
    """An error code is foreign text too."""
    told = translate(refusal("<script>alert(1)</script>"), "listing volumes")
    assert "script" not in str(told)
    assert "an unnamed error" in str(told)


@pytest.mark.parametrize(
    ("message", "operation", "permission"),
    [
        ("User: x is not authorized to perform: ec2:DescribeVolumes on resource: *", "Other", "ec2:DescribeVolumes"),
        ("You are not authorized to perform this operation.", "DescribeAddresses", "ec2:DescribeAddresses"),
        ("no", "GetMetricData", "cloudwatch:GetMetricData"),
        ("no", "SomethingNew", "SomethingNew"),
    ],
)
def test_the_missing_permission_is_named(message: str, operation: str, permission: str) -> None:
    """From AWS's message where it says so, else from what was asked."""
    told = translate(refusal("AccessDenied", 403, message, operation), "looking")
    assert isinstance(told, DeniedError)
    assert told.permission == permission
    assert permission in told.fix


def test_no_credentials_says_which_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AWS credentials is a setting to fix, not a crash."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    for connection in (Connection((REGION,)), Connection((REGION,), accounts=("1",), reader_role="reader")):
        with pytest.raises(DeniedError, match="no AWS credentials"), our_words("looking"):
            connection.client("ec2", "1" if connection.accounts else "", REGION).describe_volumes()


@pytest.fixture
def hangs_up() -> Iterator[str]:
    """Somebody who takes calls and cuts the line."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            caller.close()

    threading.Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_a_cut_line_may_have_carried_the_call(hangs_up: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not known is said as not known; an effect is not repeated by the client itself."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    connection = Connection((REGION,), endpoint=hangs_up)
    client = connection.client("autoscaling", "", REGION, effects=True)
    with pytest.raises(TransientError) as cut, our_words("changing a group"):
        client.update_auto_scaling_group(AutoScalingGroupName="g", MaxSize=1)
    assert "not known" in cut.value.changed
    assert client.meta.config.retries["total_max_attempts"] == 1


def test_clients_are_made_once_and_effects_go_through_their_own_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and changing are two identities; neither waits longer than ten seconds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    connection = Connection((REGION,), endpoint="http://127.0.0.1:1")
    reads = connection.client("ec2", "", REGION)
    assert reads is connection.client("ec2", "", REGION)
    assert reads is not connection.client("ec2", "", REGION, effects=True)
    assert reads.meta.config.read_timeout <= 10


def test_a_profile_that_does_not_exist_is_a_setting_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK stumbles before it asks anything; the sentence says where to look."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ProviderError, match="ProfileNotFound") as told:
        Connection((REGION,)).client("ec2", "", REGION)
    assert "AWS_PROFILE" in told.value.fix


def test_an_endpoint_that_is_no_url() -> None:
    """Said at once, not at the first call."""
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL"):
        Connection.of(Settings(_env_file=None, aws_regions=(REGION,), aws_endpoint_url="localhost:4566"))


def test_a_call_that_we_built_wrongly_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not be dressed up as AWS's refusal."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = Connection((REGION,)).client("ec2", "", REGION)
    with pytest.raises(ParamValidationError), our_words("looking"):
        client.describe_volumes(Nonsense=True)  # type: ignore[call-arg]


def test_several_accounts_need_a_role() -> None:
    """Without one only the credentials' own account could be reached."""
    with pytest.raises(SettingsError, match="no role"):
        Connection.of(Settings(_env_file=None, aws_regions=(REGION,), aws_accounts=("1", "2")))


def test_the_registry_gives_what_is_configured_and_says_what_is_not() -> None:
    """Nothing configured: no inventory, no health; an unknown change and an unconnected cloud are refused in words."""
    nothing = Settings(_env_file=None, aws_regions=(), prometheus_url="")
    assert registry.inventories(nothing) == ()
    assert registry.health(nothing) is None
    with pytest.raises(SettingsError, match="AWS is not connected"):
        registry.change(nothing, "aws.asg_spot")
    with pytest.raises(InputError, match="no executable change"):
        registry.change(nothing, "gcp.magic")
    source: HealthSource | None = registry.health(Settings(_env_file=None, prometheus_url="http://127.0.0.1:9"))
    assert source is not None
