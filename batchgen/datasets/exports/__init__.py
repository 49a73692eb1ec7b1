"""Exports of a run: shards, folders and tables made of its finished files and its ledger."""
