"""How results are shown: as text of 80 columns, and as JSON."""
