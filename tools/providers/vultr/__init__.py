"""Vultr's rooms: connection, inventory, metrics, prices and billing."""
