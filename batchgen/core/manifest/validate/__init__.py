"""What is wrong in a manifest as a whole: all of it at once."""
