"""AWS's rooms."""
