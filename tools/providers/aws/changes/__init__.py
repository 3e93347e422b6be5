"""Changes: what AWS can be asked to change for an approved rollout, each forward, observed and back."""
