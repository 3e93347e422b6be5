"""The sandbox's REST clouds on loopback ports: the same ones that the providers' tests talk to."""

from __future__ import annotations

from tests.providers.conftest import azure, azure_server, short_truth, vultr, vultr_server

__all__ = ["azure", "azure_server", "short_truth", "vultr", "vultr_server"]
