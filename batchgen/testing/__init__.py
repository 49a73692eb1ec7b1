"""Test doubles that ship with batchgen: in-memory ports and an event loop in virtual time."""
