"""The core decides: pure values and functions, no I/O, no clock, no event loop."""
