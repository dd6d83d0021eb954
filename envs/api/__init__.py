"""The market as others know environments: Gymnasium, its vector form, and stable-baselines3."""
