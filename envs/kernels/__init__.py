"""What every compiled engine is built of: compilation, arithmetic, random streams, frames."""
