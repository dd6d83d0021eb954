"""The stages of a tick, in the order of `tick.py` (world 2)."""
