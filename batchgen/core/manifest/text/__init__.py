"""Text of a manifest: templates, scalars, file names, and where a value stands."""
