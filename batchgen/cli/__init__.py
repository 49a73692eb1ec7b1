"""batchgen."""
