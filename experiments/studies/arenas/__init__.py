"""The same merchants in different worlds, and what is searched and tuned there."""
