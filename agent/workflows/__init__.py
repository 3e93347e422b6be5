"""Workflows: graphs above the rollouts that SQL drives."""
