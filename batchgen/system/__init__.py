"""What this machine offers: durable files, the run directory, the clock, other programs."""
