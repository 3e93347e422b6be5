"""Collection: fetch, check, roll up, store; freshness and coverage."""
