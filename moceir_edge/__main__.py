"""`python -m moceir_edge` is the command line."""

from moceir_edge.cli import main

main()
