"""What replicas share through Redis when there is one, and keep for themselves when there is none."""
