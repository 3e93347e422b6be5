"""Fact tables."""
