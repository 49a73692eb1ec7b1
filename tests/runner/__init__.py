"""Tests of the runner: what it puts onto the scheduler and what it draws from it."""
