"""Fixtures of collection: the roll-up in a thread for tests that are not about its process."""

from __future__ import annotations

from tests.collection.bills import one_process

__all__ = ["one_process"]
