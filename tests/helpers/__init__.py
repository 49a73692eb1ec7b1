"""Servers and files that several rooms test against."""
