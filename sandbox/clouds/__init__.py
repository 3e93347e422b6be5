"""The sandbox's clouds: each speaks its provider's own wire protocol on loopback."""
