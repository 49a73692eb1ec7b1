"""What everything may use: instants, sizes as text, exit codes."""
