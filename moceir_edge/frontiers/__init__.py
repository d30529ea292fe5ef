"""The frontier: slim, narrow and precision together, measured as whole models, and what beats what."""
