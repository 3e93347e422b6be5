"""Logs are structured and carry no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tools.telemetry.logs import HIDDEN, configure_logs, get_logger, redact
from tools.telemetry.metrics import Metrics


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-1234567890-abcdef",
        "xapp-1-A0-123-abc",
        "AKIAIOSFODNN7EXAMPLE",
        "gsk_abcdefghijklmnop1234",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_known_secrets_never_reach_the_log(secret: str) -> None:
    """Whatever a library logs, in whatever field, the secret is gone."""
    out = io.StringIO()
    configure_logs(stream=out)
    get_logger("test").info("calling", text=f"with {secret} inside", nested={"list": [secret]})
    logging.getLogger("somebody.else").error("failed with %s", secret)
    assert secret not in out.getvalue()
    assert out.getvalue().count(HIDDEN) >= 3
    assert all(json.loads(line)["ts"].endswith("Z") for line in out.getvalue().splitlines())


def test_fields_named_like_secrets_are_hidden() -> None:
    """A password without a known shape is hidden by its name, and an empty one stays visible as empty."""
    assert redact({"password": "hunter2", "api_key": "", "url": "postgresql://me:pw@host/db"}) == {
        "password": HIDDEN,
        "api_key": "",
        "url": f"postgresql://{HIDDEN}@host/db",
    }


def test_a_stack_trace_is_redacted_too() -> None:
    """An exception that carries a token in its message does not leak it."""
    out = io.StringIO()
    configure_logs(stream=out, json=False)
    try:
        raise ValueError("token xoxb-1-secret refused")
    except ValueError:
        get_logger("test").exception("call failed")
    assert "xoxb-1-secret" not in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_metrics_are_exposed_in_prometheus_format() -> None:
    """Two sets of metrics live side by side, and counting shows."""
    metrics, other = Metrics(), Metrics()
    metrics.questions.labels("answered").inc()
    assert b'optiinfra_questions_total{status="answered"} 1.0' in metrics.text()
    assert b"optiinfra_questions_total{" not in other.text()
