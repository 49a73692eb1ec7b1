"""What puts a run together."""
