"""Rows of `from:`: cells, types and conditions."""
