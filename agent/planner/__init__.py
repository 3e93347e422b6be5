"""The planner: the mind without a key."""
