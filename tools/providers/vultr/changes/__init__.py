"""Changes: what Vultr can be asked to change for an approved rollout, each forward, observed and back where there is a back."""
