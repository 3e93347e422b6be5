"""Estate: writes FOCUS parquet files with the cardinalities of a real organisation, any number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

DAYS = 400
FIRST = date(2025, 10, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
# 5 rows a day for each resource: hours and SKUs of one machine, bucket or database.
ROWS_PER_DAY = 5
PROVIDERS = ("AWS", "Microsoft", "Google Cloud", "Vultr")


@dataclass(frozen=True, slots=True)
class Estate:
    """What was written: one file per provider and month below `folder`."""

    folder: Path
    rows: int
    resources: int


def write(folder: Path, rows: int, per_day: int = ROWS_PER_DAY) -> Estate:
    """Write about `rows` rows, `per_day` for each resource and day.

    4 providers, 200 accounts, 60 services, 25 regions, 400 days, tags as JSON text.
    """
    import duckdb

    resources = max(rows // (DAYS * per_day), 5)
    folder.mkdir(exist_ok=True)
    with duckdb.connect(config={"memory_limit": "400MB", "threads": 1}) as db:
        db.execute("SET enable_progress_bar = false")
        db.execute(_RESOURCES, [resources])
        months = sorted({(FIRST + timedelta(days=n)).replace(day=1) for n in range(DAYS)})
        written = 0
        for month in months:
            start, end = max(month, FIRST), min((month + timedelta(days=32)).replace(day=1), LAST + timedelta(days=1))
            for provider in PROVIDERS:
                path = folder / f"{provider.split()[0].lower()}-{month:%Y-%m}.parquet"
                query = _ROWS.format(start=start, end=end, month=month, provider=provider, per_day=per_day)
                db.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
                found = db.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()
                if not found or not found[0]:
                    # Nothing of this provider in so small an organisation.
                    path.unlink()
                    continue
                written += found[0]
    return Estate(folder, written, resources)


# Services, regions and teams cluster by account, as they do in life; what a resource is never changes.
_RESOURCES = """
    CREATE TABLE resource AS WITH numbered AS (
        SELECT n, hash(n) AS h, hash(n, 1) % 200 AS account FROM range(?) t(n)
    ) SELECT n, account,
        CASE WHEN account < 100 THEN 'AWS' WHEN account < 150 THEN 'Microsoft'
             WHEN account < 190 THEN 'Google Cloud' ELSE 'Vultr' END AS provider,
        (account * 7 + hash(n, 2) % 8) % 60 AS service,
        (account * 3 + hash(n, 3) % 3) % 25 AS region,
        CASE WHEN hash(n, 4) % 10 < 7 THEN account % 30 ELSE hash(n, 5) % 30 END AS team,
        hash(n, 6) % 10 AS env,
        hash(n, 7) % 100 AS pricing,
        0.001 + (hash(n, 8) % 100000) / 20000.0 AS cost,
        DATE '2025-01-01' + CAST(hash(n, 9) % 500 AS INTEGER) AS born
    FROM numbered"""
_ROWS = """
    SELECT CAST(billed AS DECIMAL(30, 10)) AS BilledCost, CAST(effective AS DECIMAL(30, 10)) AS EffectiveCost,
        CAST(list AS DECIMAL(30, 10)) AS ListCost, CAST(list * 0.95 AS DECIMAL(30, 10)) AS ContractedCost,
        'payer-' || provider AS BillingAccountId, 'USD' AS BillingCurrency,
        TIMESTAMP '{month}' AS BillingPeriodStart, TIMESTAMP '{month}' + INTERVAL 1 MONTH AS BillingPeriodEnd,
        CASE WHEN pricing >= 98 THEN 'Tax' ELSE 'Usage' END AS ChargeCategory, NULL::VARCHAR AS ChargeClass,
        moment AS ChargePeriodStart, moment + INTERVAL 1 HOUR AS ChargePeriodEnd,
        provider AS ProviderName, provider AS PublisherName, 'Service ' || service AS ServiceName,
        ['Compute', 'Storage', 'Databases', 'Networking', 'Analytics', 'Other'][CAST(1 + service % 6 AS BIGINT)] AS ServiceCategory,
        CAST(100000000000 + account AS VARCHAR) AS SubAccountId, 'account-' || account AS SubAccountName,
        'region-' || region AS RegionId,
        CASE WHEN pricing < 70 THEN 'Standard' WHEN pricing < 90 THEN 'Committed' ELSE 'Dynamic' END AS PricingCategory,
        CASE WHEN pricing BETWEEN 70 AND 89 THEN 'sp-' || account END AS CommitmentDiscountId,
        CASE WHEN pricing BETWEEN 70 AND 89 THEN 'Used' END AS CommitmentDiscountStatus,
        'arn:cloud:' || account || ':resource/' || n AS ResourceId, 'SKU-' || service || '-' || part AS SkuId,
        CAST(1 + part AS DECIMAL(20, 6)) AS ConsumedQuantity, 'Hours' AS ConsumedUnit,
        CASE WHEN env = 9 THEN '{{}}' ELSE
            '{{"team": "team-' || team || '", "env": "' || ['prod', 'dev', 'test'][CAST(1 + env % 3 AS BIGINT)] || '", "app": "app-'
            || n % 97 || '"}}' END AS Tags
    FROM (
        SELECT r.*, k % 2 AS part, d.day + INTERVAL (k % 5 * 4 + n % 4) HOUR AS moment,
            cost * (1 + 0.3 * sin(n + date_diff('day', DATE '2025-01-01', d.day) / 9.0)) * (1 + k) AS list,
            list * 0.9 AS billed, CASE WHEN pricing BETWEEN 70 AND 89 THEN billed * 0.7 ELSE billed END AS effective
        FROM resource r, (SELECT CAST(range AS DATE) AS day FROM range(DATE '{start}', DATE '{end}', INTERVAL 1 DAY)) d,
            range({per_day}) s(k)
        WHERE r.provider = '{provider}'
    ) ORDER BY moment, ResourceId, SkuId"""
