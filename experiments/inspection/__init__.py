"""Looking at one thing: an episode that was played, a market as it is defined."""
