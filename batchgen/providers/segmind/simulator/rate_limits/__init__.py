"""The rate limits: how they are enforced, and which requests count against which."""
