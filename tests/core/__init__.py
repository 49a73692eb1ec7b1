"""The pure core, as tables and properties: no loop, no clock, no files."""
