"""Outputs in an object store, over `obstore` (the extra `remote`), imported when it is needed."""
