"""A bundle: one file that a device needs, made from an artifact; see `devices/runner`."""
