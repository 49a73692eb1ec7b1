"""Manifest text, rows and input files, from real files."""
