"""From an entry to its jobs, one by one."""
