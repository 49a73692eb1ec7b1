"""Tests of the runner: what it puts onto the board and what it draws from it."""
