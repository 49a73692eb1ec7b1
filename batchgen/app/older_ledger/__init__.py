"""A state file that is older than what was done with it: told, refused, or gone on from."""
