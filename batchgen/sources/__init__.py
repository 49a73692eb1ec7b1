"""What a run is made from: manifest text with positions, rows, and local input files."""
