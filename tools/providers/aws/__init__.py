"""AWS's rooms: connection, inventory, metrics, prices and changes."""
