"""Store: one SQL database for state and rolled-up cost facts."""
