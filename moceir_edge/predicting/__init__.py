"""Lower bounds on latency and energy where there is no device."""
