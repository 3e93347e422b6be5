"""Resource tables."""
