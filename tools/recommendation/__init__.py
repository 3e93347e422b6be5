"""Recommendation: what to do, with evidence."""
