"""The media of the simulated service: drawn, or tiny."""
