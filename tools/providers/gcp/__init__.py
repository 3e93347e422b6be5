"""Google Cloud's rooms."""
