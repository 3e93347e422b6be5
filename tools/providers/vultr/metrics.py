"""Metrics: Vultr's API tells no CPU or memory use, so use is unknown, and is said to be."""

from __future__ import annotations

UNKNOWN = (
    "Vultr's API tells no CPU or memory use. Without it no claim about size or idleness is made; node_exporter and "
    "Prometheus on the machines would tell."
)


def utilisation() -> dict[str, object]:
    """The attributes that say of a machine that nothing is known about its use."""
    return {"utilisation": None, "utilisation_unknown": UNKNOWN}
