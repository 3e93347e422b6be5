"""The columns of each provider's export, in that provider's version of FOCUS, as SQL over the view `charge`."""

from __future__ import annotations

AWS_EXPORT = "lumen-focus-1-2"
GCP_EXPORT = "lumen_billing_focus"
AZURE_EXPORT = "lumen-focus"

_ISSUER = {
    "aws": ("AWS", "Amazon Web Services, Inc.", "Amazon Web Services EMEA SARL"),
    "gcp": ("Google Cloud", "Google Cloud", "Google Cloud EMEA Limited"),
    "azure": ("Microsoft", "Microsoft", "Microsoft Ireland Operations Limited"),
    "vultr": ("Vultr", "Vultr", "The Constant Company, LLC"),
}

# FOCUS 1.0's columns; each provider leaves out or adds what its own export does.
_COMMON = {
    "AvailabilityZone": "zone",
    "BilledCost": "{billed}",
    "BillingAccountId": "billing_account_id",
    "BillingAccountName": "billing_account_name",
    "BillingCurrency": "'USD'",
    "BillingPeriodEnd": "{period_end}",
    "BillingPeriodStart": "{period_start}",
    "ChargeCategory": "charge_category",
    "ChargeClass": "charge_class",
    "ChargeDescription": "description",
    "ChargeFrequency": "charge_frequency",
    "ChargePeriodEnd": "{charge_end}",
    "ChargePeriodStart": "{charge_start}",
    "CommitmentDiscountCategory": "commitment_category",
    "CommitmentDiscountId": "commitment_id",
    "CommitmentDiscountName": "commitment_name",
    "CommitmentDiscountStatus": "commitment_status",
    "CommitmentDiscountType": "commitment_type",
    "ConsumedQuantity": "{consumed}",
    "ConsumedUnit": "consumed_unit",
    "ContractedCost": "{contracted}",
    "ContractedUnitPrice": "{contracted_price}",
    "EffectiveCost": "{effective}",
    "InvoiceIssuerName": "{issuer}",
    "ListCost": "{list_cost}",
    "ListUnitPrice": "{list_price}",
    "PricingCategory": "pricing_category",
    "PricingQuantity": "{quantity}",
    "PricingUnit": "pricing_unit",
    "ProviderName": "{provider}",
    "PublisherName": "{publisher}",
    "RegionId": "region_id",
    "RegionName": "region_name",
    "ResourceId": "resource_id",
    "ResourceName": "resource_name",
    "ResourceType": "resource_type",
    "ServiceCategory": "service_category",
    "ServiceName": "service_name",
    "SkuId": "sku_id",
    "SkuPriceId": "sku_price_id",
    "SubAccountId": "sub_account_id",
    "SubAccountName": "sub_account_name",
    "Tags": "{tags}",
}
_AWS = {
    "BillingAccountType": "'Management Account'",
    "CapacityReservationId": "NULL::VARCHAR",
    "CapacityReservationStatus": "NULL::VARCHAR",
    "CommitmentDiscountQuantity": "commitment_quantity",
    "CommitmentDiscountUnit": "commitment_unit",
    "InvoiceId": "invoice_id",
    "PricingCurrency": "'USD'",
    "PricingCurrencyContractedUnitPrice": "{contracted_price}",
    "PricingCurrencyEffectiveCost": "{effective}",
    "PricingCurrencyListUnitPrice": "{list_price}",
    "ServiceSubcategory": "service_subcategory",
    "SkuMeter": "sku",
    "SkuPriceDetails": "NULL::MAP(VARCHAR, VARCHAR)",
    "SubAccountType": "'AWS Account'",
    "x_Discounts": "NULL::MAP(VARCHAR, DOUBLE)",
    "x_Operation": "operation",
    "x_ServiceCode": "replace(replace(service_name, 'Amazon ', 'Amazon'), ' ', '')",
}
_GCP = {
    "x_CostType": "CASE charge_category WHEN 'Tax' THEN 'tax' WHEN 'Adjustment' THEN 'adjustment' ELSE 'regular' END",
    "x_ExportTime": "strftime(day + INTERVAL 30 HOUR, '%Y-%m-%d %H:%M:%S UTC')",
    "x_ProjectId": "sub_account_id",
    "x_CreditType": "CASE WHEN charge_category <> 'Credit' THEN NULL WHEN description LIKE 'Sustained%' "
    "THEN 'SUSTAINED_USAGE_DISCOUNT' ELSE 'PROMOTION' END",
}
_AZURE = {
    "x_BillingProfileId": "'LUME-N001-BG7-PGB'",
    "x_InvoiceSectionId": "'LUME-N001-PJA-PGB'",
    "x_PublisherCategory": "'Cloud Provider'",
    "x_ResourceGroupName": "resource_group",
    "x_SkuMeterCategory": "service_name",
    "x_SkuMeterName": "sku",
}
# Our own mapping of Vultr's bill is FOCUS 1.4: no ProviderName and PublisherName any more, no account beneath.
_VULTR_LEAVES_OUT = ("ProviderName", "PublisherName", "SubAccountId", "SubAccountName", "AvailabilityZone")
_VULTR_LEAVES_OUT_ALSO = tuple(name for name in _COMMON if name.startswith("CommitmentDiscount"))
_VULTR = {
    "ServiceProviderName": "'Vultr'",
    "HostProviderName": "'Vultr'",
    "InvoiceId": "invoice_id",
    "ServiceSubcategory": "service_subcategory",
    "x_Estimated": "invoice_id IS NULL",
}

_TYPED = {
    "billed": "billed",
    "effective": "effective",
    "list_cost": "list_cost",
    "contracted": "contracted",
    "quantity": "quantity",
    "consumed": "consumed",
    "list_price": "list_price",
    "contracted_price": "contracted_price",
    "period_start": "period_start",
    "period_end": "period_end",
    "charge_start": "charge_start",
    "charge_end": "charge_end",
    "tags": "CASE WHEN tag_keys = '' THEN MAP([]::VARCHAR[], []::VARCHAR[]) "
    "ELSE MAP(string_split(tag_keys, chr(31)), string_split(tag_values, chr(31))) END",
}
_NUMBERS = ("billed", "effective", "list_cost", "contracted", "quantity", "consumed", "list_price", "contracted_price")
_TIMES = ("period_start", "period_end", "charge_start", "charge_end")


def _text(time_format: str) -> dict[str, str]:
    """How a text file writes numbers (plain, exact) and times."""
    return (
        {name: f"plain({name})" for name in _NUMBERS}
        | {name: f"strftime({name}, '{time_format}')" for name in _TIMES}
        | {"tags": "tags_json"}
    )


def select(provider: str) -> str:
    """The SELECT list of one provider's export."""
    columns, how = {
        "aws": (dict(sorted((_COMMON | _AWS).items())), _TYPED),
        "gcp": (_COMMON | _GCP, _text("%Y-%m-%d %H:%M:%S UTC")),
        # Microsoft writes minutes only, and orders its columns its own way.
        "azure": (dict(reversed(_COMMON.items())) | _AZURE, _text("%Y-%m-%dT%H:%MZ")),
        "vultr": (
            {
                name: sql
                for name, sql in (_COMMON | _VULTR).items()
                if name not in _VULTR_LEAVES_OUT and name not in _VULTR_LEAVES_OUT_ALSO
            },
            _text("%Y-%m-%dT%H:%M:%SZ"),
        ),
    }[provider]
    name, publisher, issuer = (f"'{text}'" for text in _ISSUER[provider])
    words = how | {"provider": name, "publisher": publisher, "issuer": issuer}
    return ", ".join(f'{sql.format(**words)} AS "{column}"' for column, sql in columns.items())


def provider_name(provider: str) -> str:
    """What a provider calls itself on its bills."""
    return _ISSUER[provider][0]


def column_names(provider: str) -> tuple[str, ...]:
    """The names of one provider's columns, in the order of its files."""
    return tuple(part.rsplit(' AS "', 1)[1].rstrip('"') for part in select(provider).split('", '))
