"""The static module: a network with every choice taken, as a list of operations that every back end writes out."""
