"""Settings: everything a person can set, read once from the environment or `.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tools.model.errors import SettingsError

Words = Annotated[tuple[str, ...], NoDecode]
# The settings that name services, each with the balancer whose counted requests tell its health.
SERVICE_SOURCES = ("cloudwatch_services", "cloud_monitoring_services", "azure_monitor_services")
SERVICE_VARIABLES = ", ".join(f"OPTIINFRA_{name.upper()}" for name in SERVICE_SOURCES)


def default_home() -> Path:
    """The folder for the embedded database and chat memory when OPTIINFRA_HOME is not set."""
    return Path.home() / ".local" / "share" / "optiinfra"


class Settings(BaseSettings):
    """All settings. Field descriptions are the text of docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="OPTIINFRA_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    # where things live
    home: Path = Field(default_factory=default_home, description="Folder of the embedded database and chat memory.")
    state_url: str = Field("", description="Database (SQLAlchemy URL). Empty: a SQLite file in the home folder.")
    facts_url: str = Field(
        "",
        description="Database of cost facts when they have a store of their own: clickhousedb://USER:PASSWORD@HOST:PORT/NAME. "
        "Empty: beside the rest.",
    )
    redis_url: str = Field(
        "",
        description="Redis for shared rate limits, a short answer cache and wake-ups. Empty: in-process. Never the truth.",
    )
    tenant: str = Field("default", description="The customer this installation serves.")

    # cost data
    focus_paths: Words = Field(
        (), description="Files or folders with FOCUS exports that `collect` reads, separated by commas."
    )
    tag_keys: Words = Field(
        ("team", "env", "service"),
        description="Tag keys kept as dimensions, separated by commas (normalised, lower case).",
    )
    tag_values: int = Field(
        1000,
        ge=1,
        description="Values of a tag key kept per bill, the dearest; others count as (other), save per resource.",
    )
    detail_months: int = Field(4, ge=1, description="Billing periods for which cost per resource and SKU is kept.")
    budget_monthly: str = Field(
        "", description="Monthly budget as a decimal number in the bill's currency. Empty: none."
    )
    rates_file: Path | None = Field(
        None, description="Dated exchange rates: a csv file with the columns date, from, to, rate. Empty: none."
    )
    currency: str = Field(
        "",
        description="Currency that costs are also shown in, by the rates file (USD, EUR ...). Empty: the bill's own.",
    )
    fiscal_year_start: int = Field(1, ge=1, le=12, description="Month (1 to 12) in which the fiscal year begins.")
    provisional_days: int = Field(
        2, ge=0, description="Days at the end of the data that may still change and are not judged."
    )

    alerts_per_week: int = Field(
        10,
        ge=0,
        description="Most anomalies told per week in the digest, the greatest money first; the rest is listed.",
    )

    # Slack
    slack_bot_token: SecretStr = Field(SecretStr(""), validation_alias="SLACK_BOT_TOKEN", description="Bot token.")
    slack_app_token: SecretStr = Field(
        SecretStr(""), validation_alias="SLACK_APP_TOKEN", description="App-level token for Socket Mode."
    )
    slack_signing_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias="SLACK_SIGNING_SECRET",
        description="Signing secret: mounts Slack's HTTP mode at /slack/events.",
    )
    slack_api_url: str = Field(
        "https://slack.com/api/", validation_alias="SLACK_API_URL", description="Base URL of the Slack Web API."
    )
    digest_channel: str = Field("", description="Channel id where the morning digest is posted. Empty: no digest.")
    approvals_channel: str = Field(
        "", description="Channel id for cards of rollouts proposed outside a conversation. Empty: the digest's channel."
    )
    digest_hour: int = Field(8, ge=0, le=23, description="UTC hour of the digest.")

    # language model
    groq_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="GROQ_API_KEY",
        description="Groq key. Empty: the offline planner answers alone.",
    )
    groq_api_base: str = Field(
        "", validation_alias="GROQ_API_BASE", description="Base URL of the Groq API. Empty: Groq's own."
    )
    llm_model: str = Field("openai/gpt-oss-120b", description="Model asked when the planner is not sure.")
    llm_fallback_model: str = Field("openai/gpt-oss-20b", description="Model asked when the first one fails.")
    llm_timeout_seconds: float = Field(4.0, gt=0, description="Longest wait for one model call.")
    planner_confidence: float = Field(
        0.75, ge=0, le=1, description="From this confidence on the planner's reading is used without a language model."
    )

    # clouds
    aws_endpoint_url: str = Field(
        "", validation_alias="AWS_ENDPOINT_URL", description="AWS endpoint. Empty: AWS's own."
    )
    aws_regions: Words = Field(
        (), description="AWS regions to look at, separated by commas. Empty: AWS is not connected."
    )
    aws_accounts: Words = Field(
        (), description="AWS accounts to look at, separated by commas. Empty: the credentials' own account."
    )
    aws_reader_role: str = Field(
        "", description="Name of the role assumed in each AWS account to read. Empty: the credentials themselves."
    )
    aws_executor_role: str = Field(
        "", description="Name of the role assumed to change things for approved rollouts. Empty: the reader's."
    )
    aws_external_id: SecretStr = Field(SecretStr(""), description="External id that the AWS roles ask for.")
    aws_cost_explorer_accounts: Words = Field(
        (),
        description="AWS accounts that pay the bill (management accounts) whose costs are read through Cost Explorer, "
        "separated by commas: for bills without a FOCUS export. Every page costs USD 0.01. Empty: from files only.",
    )
    aws_cost_explorer_requests: int = Field(
        50, ge=1, description="Most Cost Explorer requests a day and account, USD 0.01 each; the rest waits a day."
    )
    aws_cost_explorer_split: Literal["", "region", "usage_type"] = Field(
        "",
        description="By what Cost Explorer's usage is split beside account and service: region or usage_type; "
        "that takes a request for each linked account. Empty: not at all.",
    )
    aws_billing_table: str = Field(
        "",
        description="Athena table of an AWS FOCUS export as DATABASE.TABLE (or CATALOG.DATABASE.TABLE). Athena rolls it up, and "
        "cost per resource does not come over. Empty: AWS's bills come from FOCUS files or Cost Explorer.",
    )
    aws_athena_workgroup: str = Field(
        "primary", description="Athena workgroup of these queries; its limit says how many bytes one may read."
    )
    aws_athena_output: str = Field(
        "", description="Where Athena keeps results, as s3://BUCKET/PREFIX. Empty: where its workgroup says."
    )
    gcp_endpoint: str = Field("", description="Google Cloud endpoint. Empty: Google's own.")
    gcp_projects: Words = Field((), description="Google Cloud projects to look at, separated by commas.")
    gcp_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for Google Cloud, where no metadata server gives one."
    )
    gcp_executor_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for approved changes at Google Cloud. Empty: the reader's identity."
    )
    gcp_metadata_host: str = Field(
        "metadata.google.internal",
        validation_alias="GCE_METADATA_HOST",
        description="Google Cloud metadata server that gives the attached service account's token when none is set.",
    )
    gcp_billing_table: str = Field(
        "",
        description="BigQuery table (or view) of the Google Cloud billing export as PROJECT.DATASET.TABLE: "
        "standard, detailed or FOCUS. Empty: Google Cloud's bills come from FOCUS files only.",
    )
    gcp_query_project: str = Field(
        "", description="Google Cloud project that pays for BigQuery queries. Empty: the billing table's project."
    )
    gcp_query_gigabytes: int = Field(
        50, ge=1, description="Most gigabytes that one BigQuery query may read; a larger one is not run."
    )
    gcp_rollup: bool = Field(
        False,
        description="Whether BigQuery rolls a FOCUS export up itself, by day, account, service, region, pricing and the tag "
        "keys: far fewer rows come over, and none of them tells cost per resource.",
    )
    azure_endpoint: str = Field("", description="Azure Resource Manager endpoint. Empty: Azure's own.")
    azure_storage_endpoint: str = Field(
        "", description="Azure Storage endpoint, before /ACCOUNT/CONTAINER. Empty: the storage account's own."
    )
    azure_subscriptions: Words = Field((), description="Azure subscriptions to look at, separated by commas.")
    azure_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token for Azure Resource Manager. Empty: the AZURE_* application asks for one.",
    )
    azure_tenant_id: str = Field(
        "", validation_alias="AZURE_TENANT_ID", description="Microsoft Entra tenant of the Azure application."
    )
    azure_client_id: str = Field(
        "", validation_alias="AZURE_CLIENT_ID", description="Azure application (service principal) that reads."
    )
    azure_client_secret: SecretStr = Field(
        SecretStr(""), validation_alias="AZURE_CLIENT_SECRET", description="Secret of the Azure application."
    )
    azure_executor_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for approved changes at Azure. Empty: the executor's application."
    )
    azure_executor_client_id: str = Field(
        "", description="Azure application that makes approved changes. Empty: the one that reads."
    )
    azure_executor_client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the Azure application that makes approved changes."
    )
    vultr_endpoint: str = Field("", description="Vultr API endpoint. Empty: Vultr's own.")
    vultr_api_key: SecretStr = Field(
        SecretStr(""), validation_alias="VULTR_API_KEY", description="Vultr API key. Empty: Vultr is not connected."
    )
    vultr_executor_api_key: SecretStr = Field(
        SecretStr(""), description="Vultr API key for approved changes. Empty: the reader's."
    )

    # rollouts
    prometheus_url: str = Field(
        "",
        description="Prometheus API that tells service health. Empty, and no other source: no watched rollout may start.",
    )
    cloudwatch_services: Words = Field(
        (),
        description="Services whose health CloudWatch tells, each as SERVICE=ARN of its Application Load Balancer, separated "
        "by commas; all others are asked of Prometheus.",
    )
    cloud_monitoring_services: Words = Field(
        (),
        description="Services whose health Cloud Monitoring tells, each as SERVICE=PROJECT/URL_MAP of its external Application "
        "Load Balancer, separated by commas.",
    )
    azure_monitor_services: Words = Field(
        (),
        description="Services whose health Azure Monitor tells, each as SERVICE=RESOURCE_ID of its application gateway, "
        "separated by commas.",
    )
    prometheus_requests_query: str = Field(
        'sum by (lifecycle) (increase(http_requests_total{service="{service}"}[{window}s]))',
        description="PromQL for the number of requests per lifecycle; {service} and {window} are filled in.",
    )
    prometheus_errors_query: str = Field(
        'sum by (lifecycle) (increase(http_requests_total{service="{service}",code=~"5.."}[{window}s]))',
        description="PromQL for the number of failed requests per lifecycle.",
    )
    reviewer_url: str = Field(
        "",
        description="https address of an outside reviewer that is asked before a change is proposed. Empty: none.",
    )
    reviewer_secret: SecretStr = Field(
        SecretStr(""), description="Secret with which the outside reviewer and we sign what we tell each other."
    )
    review_seconds: float = Field(
        8.0, gt=0, le=60, description="How long the reviewers of a change may take; who is late counts as a concern."
    )
    bake_seconds: int = Field(
        900, ge=1, description="How long a stage must stay healthy before the next may be approved."
    )
    poll_seconds: float = Field(15.0, gt=0, description="How often running rollouts are looked at.")
    stage_timeout_seconds: int = Field(
        3600, ge=1, description="How long a stage may take to reach its counted state before it is rolled back."
    )
    blind_limit_seconds: int = Field(600, ge=1, description="How long health may be unknown before a rollout is held.")
    approval_ttl_seconds: int = Field(
        86400, ge=1, description="How long a card waits for a decision before it expires."
    )
    approval_use_seconds: int = Field(
        3600, ge=1, description="How long after it was given an approval may still be acted on."
    )
    final_guard_seconds: int = Field(
        86400, ge=1, description="How long a finished rollout is still watched (and undone if it regresses)."
    )
    rollback_guard_seconds: int = Field(
        300, ge=1, description="How long a rolled back resource is watched, in case a late write changes it again."
    )
    max_error_rate: float = Field(0.05, gt=0, le=1, description="Share of failed requests at which a stage regresses.")
    minimum_requests: int = Field(100, ge=1, description="Fewer requests than this in a window prove nothing.")

    # doors
    http_host: str = Field("127.0.0.1", description="Address the HTTP door listens on.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the HTTP door.")
    requests_per_minute: int = Field(120, ge=1, description="Questions and API calls allowed per person and minute.")
    cache_seconds: int = Field(
        60, ge=0, description="How long an answer may be reused while no new cost data was loaded."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(True, description="Logs as JSON lines; false: for reading on a terminal.")

    @field_validator(
        "focus_paths", "tag_keys", "aws_regions", "aws_accounts", "aws_cost_explorer_accounts",
        "gcp_projects", "azure_subscriptions", "cloudwatch_services", "cloud_monitoring_services",
        "azure_monitor_services", mode="before",
    )  # fmt: skip
    @classmethod
    def _words(cls, value: object) -> object:
        return tuple(w.strip() for w in value.split(",") if w.strip()) if isinstance(value, str) else value

    def health_told(self, service: str) -> bool:
        """Whether a metrics source is set that is asked how this service does."""
        named = {pair.partition("=")[0].strip() for source in SERVICE_SOURCES for pair in getattr(self, source)}
        return bool(self.prometheus_url) or service in named

    @property
    def database_url(self) -> str:
        return self.state_url or f"sqlite:///{self.home / 'optiinfra.db'}"


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings; raise SettingsError naming each unusable variable and why."""
    try:
        return Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own argument
    except ValidationError as error:
        lines = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError(
            "A setting cannot be used: " + "; ".join(lines) + ".", fix="docs/settings.md lists them all."
        ) from None
