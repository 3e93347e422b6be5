"""Proof: a deterministic world in which the production engine, gates and store are made to fail, and watched."""
