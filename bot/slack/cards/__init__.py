"""Cards: pure functions from our nouns to Slack blocks."""
