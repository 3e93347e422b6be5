"""The names that the sandbox's organisation has in its data, as the planner's vocabulary for tests."""

from __future__ import annotations

from datetime import date

from agent.planner import vocabulary
from agent.planner.vocabulary import Vocabulary
from tools.model.period import Period

TODAY = date(2026, 11, 23)
TAG_KEYS = ("team", "env", "service")
SPAN = Period(date(2025, 10, 1), date(2026, 11, 22))
GROUPS = ("checkout-workers", "search-indexers", "payments-api", "thumbnailer", "reports-batch")
VALUES: dict[str, tuple[str, ...]] = {
    "provider": ("AWS", "Google Cloud", "Microsoft", "Vultr"),
    "service_name": (
        "Amazon Elastic Compute Cloud", "Amazon Relational Database Service", "Amazon Simple Storage Service",
        "BigQuery", "Virtual Machines", "Compute Engine", "AWS Savings Plans", "Amazon Virtual Private Cloud",
        "Elastic Load Balancing", "AWS Data Transfer", "Amazon CloudFront", "AWS Lambda", "Amazon DynamoDB",
        "Amazon ElastiCache", "AmazonCloudWatch", "Amazon Simple Queue Service", "AWS Key Management Service",
        "AWS Backup", "Amazon Redshift", "AWS Glue", "Amazon Athena", "Amazon Kinesis", "AWS Support (Business)",
        "Cloud Storage", "Cloud Pub/Sub", "Cloud Composer", "Cloud SQL", "Networking", "Cloud Run", "Cloud Logging",
        "Vertex AI", "Azure SQL Database", "Storage Accounts", "Azure Cosmos DB", "Bandwidth", "Azure Monitor",
        "Managed Disks", "Azure OpenAI Service", "Cloud Compute", "Block Storage", "Reserved IPs", "Load Balancers",
        "Snapshots",
    ),
    "service_category": (
        "Compute", "Databases", "Storage", "Networking", "Analytics", "Management and Governance", "Integration",
        "Security", "AI and Machine Learning", "Other",
    ),
    "sub_account_name": (
        "lumen-production", "lumen-data", "lumen-staging", "lumen-payer", "lumen-analytics", "lumen-ml",
        "lumen-web-eu", "Lumen Production", "Lumen Corporate IT", "",
    ),
    "sub_account_id": (
        "100000000002", "100000000003", "100000000004", "100000000001", "lumen-analytics", "lumen-ml", "lumen-web-eu",
        "3f1c0b52-0000-4000-8000-00000000a001", "3f1c0b52-0000-4000-8000-00000000a002",
    ),
    "region_id": ("eu-west-1", "europe-west1", "westeurope", "fra", "ams", "waw", ""),
    "tag:team": ("checkout", "search", "payments", "catalog", "data", "ml", "platform", "web", "corporate-it", ""),
    "tag:env": ("production", "staging", "corporate", "shared", ""),
    "tag:service": (
        "checkout", "catalog", "clickstream", "content", "edge", "loyalty", "previews", "recommendations", "reporting",
        "warehouse", "web", "assistant", "",
    ),
}  # fmt: skip


def lumen() -> Vocabulary:
    """What the planner knows of the organisation."""
    return vocabulary.build(lambda d: VALUES.get(d, ()), TAG_KEYS, SPAN, GROUPS)
