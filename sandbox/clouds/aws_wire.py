"""AWS's wire: which action a request asks for, and how each protocol words an error."""

from __future__ import annotations

import json
import re
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
    FaultKind.CLOCK_SKEW: (
        "RequestExpired",
        "InvalidSignatureException",
        400,
        403,
        "Signature expired: 20261123T080000Z is now earlier than 20261123T081500Z (20261123T082000Z - 5 min.)",
    ),
}
_S3_CLOCK = ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
# IAM's word for a service or an action, where it differs from the one in the signature or of the API.
_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
_ACTIONS = {
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectsV2": "ListBucket",
}
# What a bucket is asked for, by the first word of the query.
_BUCKET_CALLS = {
    "lifecycle": "GetBucketLifecycleConfiguration",
    "list-type": "ListObjectsV2",
    "location": "GetBucketLocation",
    "tagging": "GetBucketTagging",
    "uploads": "ListMultipartUploads",
}


class RefusedError(ValueError):
    """What AWS would refuse: its code, its text, its status."""

    def __init__(self, code: str, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for: "autoscaling", "UpdateAutoScalingGroup", and which protocol it speaks."""

    service: str
    action: str
    protocol: str

    @property
    def name(self) -> str:
        """The action with the service that it was signed for: "autoscaling:UpdateAutoScalingGroup"."""
        return f"{self.service}:{self.action}"

    @property
    def permission(self) -> str:
        """The action as a policy names it: "s3:ListAllMyBuckets"."""
        return f"{_PREFIXES.get(self.service, self.service)}:{_ACTIONS.get(self.action, self.action)}"


def call_of(method: str, path: str, headers: dict[str, str], body: bytes, query: str = "") -> Call:
    """Read service and action from a signed request. Header names are in lower case."""
    service = service_of(headers.get("authorization", ""))
    if target := headers.get("x-amz-target"):
        return Call(service, target.rpartition(".")[2], "json")
    if "/operation/" in path:
        return Call(service, path.rpartition("/")[2], "cbor")
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body[:2048].decode("utf-8", "replace")).get("Action", [""])[0]
        return Call(service, action, "ec2" if service == "ec2" else "query")
    return Call(service, _rest_action(service, method, path, query), "rest-json" if service in _REST_JSON else "rest")


_REST_JSON = frozenset({"lambda", "savingsplans"})


_LAMBDA_CALLS = {
    ("GET", r"/functions/?$"): "ListFunctions",
    ("GET", r"/configuration$"): "GetFunctionConfiguration",
    ("PUT", r"/configuration$"): "UpdateFunctionConfiguration",
    ("GET", r"/versions$"): "ListVersionsByFunction",
    ("POST", r"/versions$"): "PublishVersion",
    ("GET", r"/aliases/[^/]+$"): "GetAlias",
    ("PUT", r"/aliases/[^/]+$"): "UpdateAlias",
    ("GET", r"/tags/"): "ListTags",
}


def _rest_action(service: str, method: str, path: str, query: str) -> str:
    """The action that method, path and query mean, where we know; else these themselves."""
    asked = frozenset(part.partition("=")[0] for part in query.split("&"))
    if service == "s3" and method == "GET":
        if path == "/":
            return "ListBuckets"
        if path.strip("/").count("/"):
            return "GetObject"
        return next((call for word, call in _BUCKET_CALLS.items() if word in asked), f"{method} {path}")
    if service == "s3" and "lifecycle" in asked:
        return "PutLifecycleConfiguration"
    if service == "lambda":
        known = (call for (verb, end), call in _LAMBDA_CALLS.items() if verb == method and re.search(end, path))
        return next(known, f"{method} {path}")
    if service == "savingsplans":
        return path.strip("/")
    return f"{method} {path}"


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
    """Status, content type and body of a fault, in the words of the call's protocol."""
    ec2 = call.protocol == "ec2"
    if kind is FaultKind.DENY:
        code, status = ("UnauthorizedOperation", 403) if ec2 else ("AccessDenied", 403)
        # CloudWatch speaks JSON with the words of the query protocol that it had before.
        if call.protocol in {"json", "rest-json"} and call.service != "monitoring":
            code, status = "AccessDeniedException", 400 if call.protocol == "json" else 403
        text = (
            f"User: arn:aws:iam::{account}:user/sandbox is not authorized to perform: {call.permission} because no "
            "identity-based policy allows the action"
        )
    else:
        ec2_code, other_code, ec2_status, other_status, text = _CODES[kind]
        code, status = (ec2_code, ec2_status) if ec2 else (other_code, other_status)
        if kind is FaultKind.CLOCK_SKEW and call.service == "s3":
            code, text = _S3_CLOCK
        if kind is FaultKind.THROTTLE and call.service == "ce":
            code = "LimitExceededException"
    return worded(call.protocol, code, text, status)


def worded(protocol: str, code: str, text: str, status: int) -> tuple[int, str, bytes]:
    """Status, content type and body of an error in the words of a protocol."""
    request = str(uuid.uuid4())
    if protocol == "cbor":
        return status, "application/cbor", _cbor({"__type": code, "message": text})
    if protocol in {"json", "rest-json"}:
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


def _cbor(words: dict[str, str]) -> bytes:
    """A map of texts in CBOR (RFC 8949): at most 23 of them, of less than 65,536 bytes each."""
    out = bytes([0xA0 + len(words)])
    for text in (text for pair in words.items() for text in pair):
        told = text.encode()
        out += b"\x79" + len(told).to_bytes(2, "big") + told
    return out
