"""Tasks x agents x seeds: the plan, the runs, and rows made again."""
