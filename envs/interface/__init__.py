"""What an agent may do and see, by name: levers, observation features, tasks."""
