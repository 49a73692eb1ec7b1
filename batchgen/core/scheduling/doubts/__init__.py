"""Submits of which nobody knows yet what became of them: what is asked, believed and kept back."""
