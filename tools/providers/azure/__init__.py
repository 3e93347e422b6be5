"""Azure's rooms."""
