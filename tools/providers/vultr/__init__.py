"""Vultr's rooms."""
