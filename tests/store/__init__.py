"""The state: schema, ledger, importer, readers, lock, on real files."""
