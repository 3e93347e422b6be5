"""The doors: Slack, HTTP, command line, and the clock."""
