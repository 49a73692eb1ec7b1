"""Tests: core (tables, properties), adapters (real files, sockets, processes), runs."""
