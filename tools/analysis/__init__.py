"""Analysis: what the numbers mean."""
