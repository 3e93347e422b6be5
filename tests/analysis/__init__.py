"""Tests of the analysis rooms."""
