"""Narrowing: fewer channels, heads, ranks and blocks for the tasks that are left, within a stated budget."""
