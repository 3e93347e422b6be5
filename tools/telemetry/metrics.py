"""Metrics: every Prometheus metric of the product, in one registry that is passed around."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


def _registry() -> CollectorRegistry:
    return CollectorRegistry(auto_describe=True)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics by name. No user, resource or text ever becomes a label."""

    registry: CollectorRegistry = field(default_factory=_registry)
    questions: Counter = field(init=False)
    question_seconds: Histogram = field(init=False)
    slack_events: Counter = field(init=False)
    decisions: Counter = field(init=False)
    refusals: Counter = field(init=False)
    rollouts: Gauge = field(init=False)
    outbox_waiting: Gauge = field(init=False)
    outbox_failures: Counter = field(init=False)
    jobs: Counter = field(init=False)
    http_requests: Counter = field(init=False)
    http_seconds: Histogram = field(init=False)
    rate_limited: Counter = field(init=False)

    def __post_init__(self) -> None:
        r = self.registry
        made = {
            "questions": Counter("optiinfra_questions", "Questions answered, by outcome", ["status"], registry=r),
            "question_seconds": Histogram(
                "optiinfra_question_seconds",
                "Time from question to answer",
                buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
                registry=r,
            ),
            "slack_events": Counter(
                "optiinfra_slack_events", "Slack payloads handled", ["type", "outcome"], registry=r
            ),
            "decisions": Counter("optiinfra_approvals", "Decisions on rollouts, by action", ["action"], registry=r),
            "refusals": Counter("optiinfra_authz_denied", "Decisions refused, by reason", ["reason"], registry=r),
            "rollouts": Gauge("optiinfra_rollouts", "Rollouts by state", ["state"], registry=r),
            "outbox_waiting": Gauge("optiinfra_outbox_waiting", "Messages waiting to be delivered", registry=r),
            "outbox_failures": Counter("optiinfra_outbox_failures", "Deliveries that failed and wait", registry=r),
            "jobs": Counter("optiinfra_jobs", "Runs of clock jobs, by outcome", ["job", "outcome"], registry=r),
            "http_requests": Counter(
                "http_requests", "HTTP requests of this process", ["method", "route", "code"], registry=r
            ),
            "http_seconds": Histogram("http_request_duration_seconds", "HTTP request time", ["route"], registry=r),
            "rate_limited": Counter("optiinfra_ratelimited", "Calls refused by a rate limit", ["door"], registry=r),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)

    def text(self) -> bytes:
        """The exposition format that Prometheus scrapes."""
        return generate_latest(self.registry)
