"""Columns, types, cards and tables of a dataset, as values."""
