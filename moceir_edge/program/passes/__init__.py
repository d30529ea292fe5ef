"""Exact rewrites of programs, each one function from program to program; a target's `prepare` says which it takes."""
