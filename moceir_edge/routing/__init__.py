"""What the routers do: which experts each degradation uses, and whether it needs them."""
