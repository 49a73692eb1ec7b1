"""URLs that may be fetched, calls and answers as values, decompression."""
