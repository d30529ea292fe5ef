"""Variants of one model against each other and against what this machine could do at best."""
