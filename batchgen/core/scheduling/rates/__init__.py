"""Requests a minute: what went out, what may go out, and what refusals teach about the limits."""
