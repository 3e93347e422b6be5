"""Providers: the clouds, with identical rooms."""
