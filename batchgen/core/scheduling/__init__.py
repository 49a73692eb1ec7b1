"""What to do now, and when to look again."""
