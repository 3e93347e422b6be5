"""What Google, Microsoft and Vultr bill the organisation for, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D  # noqa: N817 - a table of prices reads better with one letter

from sandbox.inventory import resource_id, tagged
from sandbox.organisation import AZURE_CORPORATE, AZURE_PRODUCTION, VULTR_BILLING_ACCOUNT
from sandbox.story.lines import Kind, Line, Shape
from sandbox.story.services import BIGQUERY

PROMOTION_ENDED = -71
RESERVATION = "/providers/Microsoft.Capacity/reservationOrders/7d1e0000-lumen/reservations/9a2f0000-d4sv5"
RESERVATION_NAME = "D4s v5, West Europe, 1 year, monthly"
RESERVED_HOURLY = D("0.136")
# Paid for, used by nothing.
VULTR_WASTE = frozenset({"edge-old-halted", "old-edge-logs", "edge-spare-ip", "edge-golden-2024"})


def _gcp(
    project: str, service: str, sku: str, unit: str, price: str, quantity: str, shape: Shape = Shape.STEADY,
    *, resource: str = "", tags: tuple[tuple[str, str], ...] = (), growth: str = "0.12", region: str = "europe-west1",
    kind: Kind = Kind.USAGE, kind_of_resource: str = "", first: int | None = None, last: int | None = None,
) -> Line:  # fmt: skip
    return Line(
        key=f"{project}/{service}/{sku}/{resource}", provider="gcp", account=project, service=service, sku=sku,
        description=sku, unit=unit, price=D(price), quantity=D(quantity), shape=shape, growth=D(growth), region=region,
        kind=kind, resource_id=f"//{resource}" if resource else "", resource_name=resource.rpartition("/")[2],
        resource_type=kind_of_resource, tags=tags, first=first, last=last,
    )  # fmt: skip


def gcp_lines() -> Iterator[Line]:
    """All Google Cloud lines, the planted events not yet applied."""
    analytics, ml, web = "lumen-analytics", "lumen-ml", "lumen-web-eu"
    data = tagged("data", service="reporting")
    yield _gcp(
        analytics, BIGQUERY, "Analysis (europe-west1)", "tebibyte", "6.25", "15.2", Shape.OFFICE, tags=data,
        resource=f"bigquery.googleapis.com/projects/{analytics}/datasets/reporting", kind_of_resource="Dataset",
    )  # fmt: skip
    yield _gcp(
        analytics, BIGQUERY, "Active Logical Storage (europe-west1)", "gibibyte month", "0.02", "1250", tags=data,
        growth="0.3", resource=f"bigquery.googleapis.com/projects/{analytics}/datasets/events",
        kind_of_resource="Dataset",
    )  # fmt: skip
    yield _gcp(analytics, "Cloud Storage", "Standard Storage Belgium", "gibibyte month", "0.02", "720", growth="0.3",
               resource="storage.googleapis.com/projects/_/buckets/lumen-exports", tags=data)  # fmt: skip
    yield _gcp(analytics, "Cloud Pub/Sub", "Message Delivery Basic", "tebibyte", "40", "0.71", Shape.SHOP, tags=data)
    yield _gcp(analytics, "Cloud Composer", "Composer 3 compute", "hour", "0.42", "24", Shape.CONSTANT, tags=data,
               growth="0")  # fmt: skip
    for number in range(1, 9):
        yield _gcp(
            web, "Compute Engine", "N2 Instance Core running in Belgium", "hour", "0.0347", "96", Shape.CONSTANT,
            growth="0", tags=tagged("web", service="web"), kind_of_resource="Instance",
            resource=f"compute.googleapis.com/projects/{web}/zones/europe-west1-b/instances/web-{number}",
        )  # fmt: skip
    yield _gcp(web, "Compute Engine", "N2 Instance Ram running in Belgium", "gibibyte hour", "0.00465", "3072",
               Shape.CONSTANT, growth="0", tags=tagged("web", service="web"))  # fmt: skip
    yield _gcp(web, "Compute Engine", "Sustained use discount", "", "-5.2", "1", Shape.CONSTANT, growth="0",
               kind=Kind.CREDIT, tags=tagged("web", service="web"))  # fmt: skip
    yield _gcp(web, "Cloud SQL", "Cloud SQL for MySQL: Regional - vCPU in Belgium", "hour", "0.1134", "192",
               Shape.CONSTANT, growth="0", tags=tagged("web", service="content"))  # fmt: skip
    yield _gcp(web, "Networking", "Network Internet Egress from Belgium", "gibibyte", "0.085", "310", Shape.SHOP,
               growth="0.2")  # fmt: skip
    yield _gcp(web, "Cloud Run", "CPU Allocation Time (tier 1)", "second", "0.000024", "1450000", Shape.SHOP,
               tags=tagged("web", service="previews"))  # fmt: skip
    yield _gcp(web, "Cloud Logging", "Log Storage cost", "gibibyte", "0.5", "44", Shape.SHOP, growth="0.2")
    yield _gcp(ml, "Vertex AI", "Vertex AI: Online prediction, n1-standard-8", "hour", "0.4372", "72", Shape.CONSTANT,
               growth="0", tags=tagged("ml", service="recommendations"))  # fmt: skip
    yield _gcp(ml, "Vertex AI", "Vertex AI: Custom training, A100", "hour", "2.934", "16", Shape.WEEKLY,
               tags=tagged("ml", service="recommendations"))  # fmt: skip
    yield _gcp(ml, "Vertex AI", "Promotional credit", "", "-30", "1", Shape.CONSTANT, growth="0", kind=Kind.CREDIT,
               last=PROMOTION_ENDED, tags=tagged("ml", service="recommendations"))  # fmt: skip
    yield _gcp(ml, "Cloud Storage", "Standard Storage Belgium", "gibibyte month", "0.02", "410", growth="0.4",
               resource="storage.googleapis.com/projects/_/buckets/lumen-features", tags=tagged("ml"))  # fmt: skip


SQL_DATABASE = "Microsoft.Sql/servers/lumen-erp/databases/erp"


def azure_line(
    subscription: str, service: str, sku: str, unit: str, price: str, quantity: str, shape: Shape = Shape.STEADY,
    *, resource: str = "", group: str = "shared", provider: str = "", tags: tuple[tuple[str, str], ...] = (),
    growth: str = "0.1", kind: Kind = Kind.USAGE,
) -> Line:  # fmt: skip
    """One line of Azure; `resource` and `group` make the resource id."""
    path = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{resource}" if resource else ""
    return Line(
        key=f"{subscription}/{service}/{sku}/{resource}", provider="azure", account=subscription, service=service,
        sku=sku, description=sku, unit=unit, price=D(price), quantity=D(quantity), shape=shape, growth=D(growth),
        region="westeurope", kind=kind, resource_id=path, resource_name=resource, resource_type=provider, tags=tags,
        discount=D("0.05") if kind is Kind.USAGE else D(0),
    )  # fmt: skip


def azure_lines() -> Iterator[Line]:
    """All Azure lines, the planted events not yet applied."""
    production, corporate = AZURE_PRODUCTION, AZURE_CORPORATE
    machines = "Virtual Machines"
    erp = tagged("corporate-it", "corporate", "erp")
    for number in range(1, 5):
        yield azure_line(
            production, machines, "D4s v5", "1 Hour", "0.23", "24", Shape.DAILY_LESS, growth="0",
            resource=f"loyalty-{number}", group="loyalty", provider="Microsoft.Compute/virtualMachines",
            tags=tagged("web", service="loyalty"), kind=Kind.COVERED,
        ).on(commitment=RESERVATION, rate=RESERVED_HOURLY, pricing="Committed")  # fmt: skip
    for kind in (Kind.COMMITMENT, Kind.UNUSED):
        yield azure_line(
            production, machines, "Reserved VM Instance, D4s v5", "1 Hour", "0.544", "24", Shape.CONSTANT, growth="0",
            kind=kind, resource=f"reservation-{kind.value}",
        ).on(
            resource_id=RESERVATION, resource_name=RESERVATION_NAME, resource_type="Reservation",
            commitment=RESERVATION,
        )  # fmt: skip
    yield azure_line(corporate, machines, "E8s v5", "1 Hour", "0.608", "24", Shape.CONSTANT, growth="0", resource="erp-1",
                 group="erp", provider="Microsoft.Compute/virtualMachines", tags=erp)  # fmt: skip
    yield azure_line(corporate, machines, "E8s v5", "1 Hour", "0.608", "24", Shape.CONSTANT, growth="0", resource="erp-2",
                 group="erp", provider="Microsoft.Compute/virtualMachines", tags=erp)  # fmt: skip
    for number in range(1, 7):
        yield azure_line(corporate, machines, "B4ms", "1 Hour", "0.192", "10", Shape.WEEKDAYS, growth="0",
                     resource=f"desktop-{number}", group="desktops", provider="Microsoft.Compute/virtualMachines",
                     tags=tagged("corporate-it", "corporate", "desktops"))  # fmt: skip
    yield azure_line(corporate, "Azure SQL Database", "vCore, General Purpose", "1 Hour", "0.1683", "192", Shape.CONSTANT,
                 growth="0", resource="erp", group="erp", provider="Microsoft.Sql/servers/databases", tags=erp,
                 ).on(resource_id=f"/subscriptions/{corporate}/resourceGroups/erp/providers/{SQL_DATABASE}")  # fmt: skip
    yield azure_line(corporate, "Storage Accounts", "Hot LRS Data Stored", "1 GB/Month", "0.0196", "610", growth="0.2",
                 resource="lumenfiles", group="files", provider="Microsoft.Storage/storageAccounts")  # fmt: skip
    yield azure_line(production, "Storage Accounts", "Hot LRS Data Stored", "1 GB/Month", "0.0196", "330", growth="0.2",
                 resource="lumenloyalty", group="loyalty", provider="Microsoft.Storage/storageAccounts",
                 tags=tagged("web", service="loyalty"))  # fmt: skip
    yield azure_line(production, "Azure Cosmos DB", "100 RU/s", "1 Hour", "0.008", "2880", Shape.CONSTANT, growth="0",
                 resource="loyalty", group="loyalty", provider="Microsoft.DocumentDB/databaseAccounts",
                 tags=tagged("web", service="loyalty"))  # fmt: skip
    yield azure_line(production, "Bandwidth", "Standard Data Transfer Out", "1 GB", "0.087", "160", Shape.SHOP)
    yield azure_line(production, "Azure Monitor", "Analytics Logs Data Ingestion", "1 GB", "2.76", "9.5", Shape.SHOP,
                 resource="lumen-logs", group="observability",
                 provider="Microsoft.OperationalInsights/workspaces", tags=tagged("platform"))  # fmt: skip
    yield azure_line(production, "Managed Disks", "P30 LRS Disk", "1/Month", "135.17", "0.033", Shape.CONSTANT,
                 growth="0", resource="loyalty-old-data", group="loyalty", provider="Microsoft.Compute/disks")  # fmt: skip


def _vultr(
    service: str, sku: str, unit: str, price: str, quantity: str, name: str, shape: Shape = Shape.CONSTANT,
    *, region: str = "fra", tags: tuple[tuple[str, str], ...] = (), kind: str = "Instance", growth: str = "0",
) -> Line:  # fmt: skip
    return Line(
        key=f"vultr/{sku}/{name}", provider="vultr", account=VULTR_BILLING_ACCOUNT, service=service, sku=sku,
        description=f"{sku} ({name})", unit=unit, price=D(price), quantity=D(quantity), shape=shape, growth=D(growth),
        region=region, resource_id=resource_id("vultr", name), resource_name=name, resource_type=kind, tags=tags,
    )  # fmt: skip


def vultr_lines() -> Iterator[Line]:
    """All Vultr lines, the planted events not yet applied."""
    edge = tagged("web", service="edge")
    for region, count in (("fra", 2), ("ams", 2), ("waw", 2)):
        for number in range(1, count + 1):
            yield _vultr("Cloud Compute", "vhf-4c-16gb", "Hours", "0.143", "24", f"edge-{region}-{number}",
                         region=region, tags=edge)  # fmt: skip
    yield _vultr("Cloud Compute", "vc2-2c-4gb", "Hours", "0.03", "24", "edge-old-halted", tags=edge)
    yield _vultr("Block Storage", "NVMe block storage", "GB-Hours", "0.000137", "12000", "edge-cache", tags=edge,
                 kind="Block storage")  # fmt: skip
    yield _vultr("Block Storage", "HDD block storage", "GB-Hours", "0.0000343", "48000", "old-edge-logs",
                 kind="Block storage")  # fmt: skip
    yield _vultr("Reserved IPs", "Reserved IPv4", "Hours", "0.0041", "24", "edge-spare-ip", kind="Reserved IP")
    yield _vultr("Load Balancers", "Load balancer", "Hours", "0.015", "24", "edge-lb", tags=edge, kind="Load balancer")
    yield _vultr("Snapshots", "Snapshot storage", "GB-Month", "0.05", "7.9", "edge-golden-2024", kind="Snapshot")
    yield _vultr("Bandwidth", "Bandwidth beyond the pool", "GB", "0.01", "900", "edge-bandwidth", Shape.SHOP,
                 tags=edge, kind="Bandwidth", growth="0.25")  # fmt: skip
