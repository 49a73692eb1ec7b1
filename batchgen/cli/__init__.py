"""The command line: one module a command, which parses, prints and exits."""
