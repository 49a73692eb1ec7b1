"""What models accept: the shape of their data, and the check of parameters."""
