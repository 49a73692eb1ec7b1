"""A run put together, asked about and summed up; the only room that builds
what the rooms below offer."""
