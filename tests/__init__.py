"""Tests, each in the room of what it tests; `simulation`, `torture`, `cli`, `web`, `api`: all."""
