"""What a job is, what can happen to it, and what follows."""
