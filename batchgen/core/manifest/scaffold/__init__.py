"""A manifest written for somebody: `batchgen init`."""
