"""The command line's commands, one family per file."""
