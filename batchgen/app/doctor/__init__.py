"""Looking at the world for `batchgen doctor`: nothing is submitted, and nothing written."""
