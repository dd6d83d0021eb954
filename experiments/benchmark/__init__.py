"""Tasks x agents x seeds: the plan, the runs, what is taken as committed, and rows made again."""
