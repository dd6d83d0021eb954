"""Rules tuned on training merchants."""
