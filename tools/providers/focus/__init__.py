"""FOCUS files: exports on disk."""
