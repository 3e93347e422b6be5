"""AWS's wire: which action a request asks for, and how each protocol words an error."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from sandbox.faults import FaultKind

_CODES = {
    # kind: (EC2's code, the others' code, EC2's status, the others' status, the text)
    FaultKind.THROTTLE: ("RequestLimitExceeded", "Throttling", 503, 400, "Rate exceeded"),
    FaultKind.ERROR: ("InternalError", "InternalFailure", 500, 500, "An internal error has occurred"),
    FaultKind.EXPIRED: (
        "RequestExpired",
        "ExpiredToken",
        400,
        403,
        "The security token included in the request is expired",
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for: "autoscaling", "UpdateAutoScalingGroup", and which protocol it speaks."""

    service: str
    action: str
    protocol: str

    @property
    def name(self) -> str:
        """The action with its service, as in a policy: "autoscaling:UpdateAutoScalingGroup"."""
        return f"{self.service}:{self.action}"


def call_of(method: str, path: str, headers: dict[str, str], body: bytes) -> Call:
    """Read service and action from a signed request's headers and body. Header names are in lower case."""
    service = service_of(headers.get("authorization", ""))
    if target := headers.get("x-amz-target"):
        return Call(service, target.rpartition(".")[2], "json")
    if "/operation/" in path:
        return Call(service, path.rpartition("/")[2], "cbor")
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body[:2048].decode("utf-8", "replace")).get("Action", [""])[0]
        return Call(service, action, "ec2" if service == "ec2" else "query")
    return Call(service, f"{method} {path}", "rest")


def service_of(authorization: str) -> str:
    """The service that a Signature Version 4 header was made for, or nothing."""
    parts = _scope(authorization)
    return parts[3] if len(parts) >= 5 else ""


def key_of(authorization: str) -> str:
    """The access key id that signed, or nothing."""
    return _scope(authorization)[0]


def _scope(authorization: str) -> list[str]:
    return authorization.partition("Credential=")[2].split(",")[0].split("/")


def error(call: Call, kind: FaultKind, account: str) -> tuple[int, str, bytes]:
    """Status, content type and body of an error, in the words of the call's protocol."""
    ec2 = call.protocol == "ec2"
    if kind is FaultKind.DENY:
        code, status = ("UnauthorizedOperation", 403) if ec2 else ("AccessDenied", 403)
        text = (
            f"User: arn:aws:iam::{account}:user/sandbox is not authorized to perform: {call.name} because no "
            "identity-based policy allows the action"
        )
    else:
        ec2_code, other_code, ec2_status, other_status, text = _CODES[kind]
        code, status = (ec2_code, ec2_status) if ec2 else (other_code, other_status)
    return _worded(call.protocol, code, text, status)


def _worded(protocol: str, code: str, text: str, status: int) -> tuple[int, str, bytes]:
    request = str(uuid.uuid4())
    if protocol in {"json", "cbor"}:
        # CBOR clients read the error's name from a header too; botocore falls back to the status.
        return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": text}).encode()
    inner = f"<Code>{code}</Code><Message>{escape(text)}</Message>"
    if protocol == "ec2":
        body = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif protocol == "query":
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{request}</RequestId></ErrorResponse>"
        )
    else:
        body = f"<Error>{inner}<RequestId>{request}</RequestId></Error>"
    return status, "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()
