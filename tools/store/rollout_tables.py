"""Rollout tables."""
