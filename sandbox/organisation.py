"""Who and what the sandbox's organisation is: people, channels, accounts and the fleets that rollouts touch."""

from __future__ import annotations

from dataclasses import dataclass

NAME = "Lumen Market"
TEAM_ID = "T0LUMEN"
TEAM_DOMAIN = "lumen-market"
APP_ID = "A0OPTIINFRA"
BOT_USER_ID = "U0OPTIINFRA"
BOT_ID = "B0OPTIINFRA"
BOT_NAME = "optiinfra"

# Tokens of the sandbox's workspace. They are shaped so that nobody takes them for real ones.
BOT_TOKEN = "xoxb-sandbox-bot"  # noqa: S105 - the sandbox's own token, worth nothing anywhere else
APP_TOKEN = "xapp-sandbox-app"  # noqa: S105 - same
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105 - same


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in (or near) the workspace, as Slack's users.info tells it."""

    user_id: str
    handle: str
    real_name: str
    email: str
    title: str
    tz: str = "Europe/Berlin"
    team_id: str = TEAM_ID
    is_guest: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation of the workspace; the bot is a member unless said otherwise."""

    channel_id: str
    name: str
    topic: str
    bot_is_member: bool = True
    is_ext_shared: bool = False


PEOPLE = (
    Person("U0PRIYA", "priya", "Priya Raman", "priya@lumen.example", "FinOps lead"),
    Person("U0BEN", "ben", "Ben Okafor", "ben@lumen.example", "Platform engineer"),
    Person("U0CARLA", "carla", "Carla Jensen", "carla@lumen.example", "Engineering manager"),
    Person("U0DAN", "dan", "Dan Ito", "dan@lumen.example", "Data analyst"),
    Person("U0GUS", "gus", "Gus Guest", "gus@contractor.example", "Contractor", is_guest=True),
    Person("U0OLGA", "olga", "Olga Outside", "olga@partner.example", "Partner company", team_id="T0PARTNER"),
)

CHANNELS = (
    Channel("C0COSTS", "cloud-costs", "What we spend and why. The morning digest arrives here."),
    Channel("C0APPROVE", "cost-approvals", "Proposed savings wait here for a decision."),
    Channel("C0RANDOM", "random", "Anything else", bot_is_member=False),
    Channel("C0PARTNER", "partner-lumen", "Shared with a partner company", is_ext_shared=True),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """An Auto Scaling group that the sandbox's AWS runs and whose service health Prometheus tells."""

    name: str
    service: str
    team: str
    account_id: str
    region: str
    instance_type: str
    size: int
    on_demand_percent: int = 100
    mixed: bool = True
    stateless: bool = True


AWS_PAYER = "100000000001"
AWS_PRODUCTION = "100000000002"
AWS_DATA = "100000000003"
AWS_STAGING = "100000000004"

FLEETS = (
    Fleet("checkout-workers", "checkout", "checkout", AWS_PRODUCTION, "eu-west-1", "m5.2xlarge", 20),
    Fleet("search-indexers", "search", "search", AWS_PRODUCTION, "eu-west-1", "c5.xlarge", 20),
    # Never to be touched by a spot migration: it keeps sessions, says so by a tag, and has no mixed policy.
    Fleet(
        "payments-api",
        "payments",
        "payments",
        AWS_PRODUCTION,
        "eu-west-1",
        "m5.xlarge",
        6,
        mixed=False,
        stateless=False,
    ),
    # Already migrated: nothing is left to save here.
    Fleet("thumbnailer", "media", "catalog", AWS_PRODUCTION, "eu-west-1", "c5.large", 10, on_demand_percent=20),
    Fleet("reports-batch", "reports", "data", AWS_DATA, "eu-west-1", "c5.2xlarge", 4, mixed=False),
)


@dataclass(frozen=True, slots=True)
class Account:
    """A place where things run: an AWS account, a Google Cloud project, an Azure subscription."""

    provider: str
    account_id: str
    name: str
    env: str


GCP_BILLING_ACCOUNT = "01L0ME-N4RK37-0B1LL5"
AZURE_BILLING_ACCOUNT = "/providers/Microsoft.Billing/billingAccounts/7006001"
VULTR_BILLING_ACCOUNT = "lumen-vultr"
AZURE_PRODUCTION = "3f1c0b52-0000-4000-8000-00000000a001"
AZURE_CORPORATE = "3f1c0b52-0000-4000-8000-00000000a002"

ACCOUNTS = (
    Account("aws", AWS_PAYER, "lumen-payer", "shared"),
    Account("aws", AWS_PRODUCTION, "lumen-production", "production"),
    Account("aws", AWS_DATA, "lumen-data", "production"),
    Account("aws", AWS_STAGING, "lumen-staging", "staging"),
    Account("gcp", "lumen-analytics", "lumen-analytics", "production"),
    Account("gcp", "lumen-ml", "lumen-ml", "production"),
    Account("gcp", "lumen-web-eu", "lumen-web-eu", "production"),
    Account("azure", AZURE_PRODUCTION, "Lumen Production", "production"),
    Account("azure", AZURE_CORPORATE, "Lumen Corporate IT", "corporate"),
    Account("vultr", VULTR_BILLING_ACCOUNT, "Lumen Edge", "production"),
)

TEAMS = ("checkout", "search", "payments", "catalog", "data", "ml", "platform", "web", "corporate-it")


def account_name(account_id: str) -> str:
    """The name people know an account by."""
    return next(a.name for a in ACCOUNTS if a.account_id == account_id)
