"""What figures mean: statistics, summaries, headroom and verdicts."""
