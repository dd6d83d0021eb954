"""One task, all agents: `chengfang compare`."""
