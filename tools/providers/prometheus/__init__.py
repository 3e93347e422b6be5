"""Prometheus: service health over its HTTP API."""
