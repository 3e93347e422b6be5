"""A Slack workspace on loopback: the real wire protocols for an unmodified Bolt app, and a page where a person chats."""
