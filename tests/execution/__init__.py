"""Tests of execution: the machine, its gates, its engine and what may go wrong."""
