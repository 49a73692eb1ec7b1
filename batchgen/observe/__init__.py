"""What a run tells: the display, the log, messages and the command at the end."""
