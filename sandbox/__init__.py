"""The world outside, on loopback: a Slack workspace, clouds, an LLM endpoint, a Prometheus, an organisation's story."""
