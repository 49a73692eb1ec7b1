"""Tests of the runner: what it brings to the scheduler, and what it draws from the record."""
