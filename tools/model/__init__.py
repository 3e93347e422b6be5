"""The nouns: pure, frozen, no I/O."""
