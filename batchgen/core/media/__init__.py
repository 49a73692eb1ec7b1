"""Which bytes are which kind of file, and whether they are whole."""
