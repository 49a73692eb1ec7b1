"""What Segmind is asked, and what it says."""
