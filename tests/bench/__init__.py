"""Benchmarks: programs that print how well and how fast the product does."""
