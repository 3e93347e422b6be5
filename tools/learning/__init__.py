"""Learning: what came of what was done."""
