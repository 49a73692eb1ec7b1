"""From the values of a manifest to jobs."""
