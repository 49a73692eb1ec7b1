"""The state in one SQLite file: schema, ledger, its async shell, lock and reader."""
