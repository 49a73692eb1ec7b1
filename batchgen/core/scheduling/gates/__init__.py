"""What holds effects back: the account, calls, models, and hosts of files."""
