"""What every compiled engine is built of: how it is compiled, its arithmetic, its random streams."""
