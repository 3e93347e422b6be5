"""What the sandbox's AWS asks for things: its price list as Amazon words it, one product per text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sandbox import inventory as have

Document = dict[str, Any]
PER_PAGE = 2
# USD an hour, PostgreSQL, one zone; with a standby it is twice that.
DATABASE_PRICES = {
    "db.r6g.2xlarge": Decimal("1.064"),
    "db.r6g.xlarge": Decimal("0.532"),
    "db.t4g.large": Decimal("0.141"),
}
_LOCATION = {"location": "EU (Ireland)", "locationType": "AWS Region", "regionCode": have.REGION}


def products(service: str, wanted: list[Document]) -> list[str]:
    """The products of a service that every filter matches, as texts."""
    every = _machines() if service == "AmazonEC2" else _databases() if service == "AmazonRDS" else iter(())
    return [
        json.dumps(product)
        for product in every
        if all(_value(product, str(one["Field"])).lower() == str(one["Value"]).lower() for one in wanted)
    ]


def _value(product: Document, name: str) -> str:
    described = product["product"]
    return str(described.get(name) or described["attributes"].get(name, ""))


def _machines() -> Iterator[Document]:
    for kind, price in have.ON_DEMAND.items():
        about = {
            "instanceType": kind,
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "licenseModel": "No License required",
        }
        linux, windows = about | {"operatingSystem": "Linux"}, about | {"operatingSystem": "Windows"}
        yield _product("Compute Instance", linux | {"capacitystatus": "Used"}, price, "Hrs")
        yield _product("Compute Instance", linux | {"capacitystatus": "UnusedCapacityReservation"}, price, "Hrs")
        yield _product("Compute Instance", windows | {"capacitystatus": "Used"}, price * 2, "Hrs")
    for kind, price in have.VOLUME_PRICE.items():
        yield _product("Storage", {"volumeApiName": kind, "storageMedia": "SSD-backed"}, price, "GB-Mo")


def _databases() -> Iterator[Document]:
    for kind, price in DATABASE_PRICES.items():
        for deployment, factor in (("Single-AZ", 1), ("Multi-AZ", 2)):
            about = {"instanceType": kind, "databaseEngine": "PostgreSQL", "deploymentOption": deployment}
            yield _product("Database Instance", about, price * factor, "Hrs")


def _product(family: str, attributes: dict[str, str], price: Decimal, unit: str) -> Document:
    text = json.dumps([family, attributes, str(price)], sort_keys=True)
    sku = hashlib.sha256(text.encode()).hexdigest()[:16].upper()
    rate = f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    return {
        "product": {"productFamily": family, "attributes": attributes | _LOCATION, "sku": sku},
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                f"{sku}.JRTCKXETXF": {
                    "priceDimensions": {
                        rate: {
                            "unit": unit,
                            "endRange": "Inf",
                            "description": f"${price} per {unit}",
                            "appliesTo": [],
                            "rateCode": rate,
                            "beginRange": "0",
                            "pricePerUnit": {"USD": f"{price:.10f}"},
                        }
                    },
                    "sku": sku,
                    "effectiveDate": "2026-11-01T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF",
                    "termAttributes": {},
                }
            }
        },
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
    }
