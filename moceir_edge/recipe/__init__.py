"""Recipes: strict YAML to frozen values."""
