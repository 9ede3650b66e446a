"""HTTP around the service: one error shape, keys, limits, the routes that are no model call."""
