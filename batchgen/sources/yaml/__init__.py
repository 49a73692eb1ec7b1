"""YAML text into plain values that know where they stand."""
