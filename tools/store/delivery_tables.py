"""Delivery tables."""
