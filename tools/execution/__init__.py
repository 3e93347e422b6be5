"""Execution: acts on an approved plan."""
