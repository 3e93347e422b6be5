"""Toolset: the typed functions that the mind may call, one file per kind of question."""
