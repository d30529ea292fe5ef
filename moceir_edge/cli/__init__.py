"""The command line: it parses, calls one function, prints one result."""

from moceir_edge.cli.entry import main

__all__ = ["main"]
