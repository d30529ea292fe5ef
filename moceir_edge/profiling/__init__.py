"""Profiling on a device: what was measured, whether it counts, and whether two results differ."""
