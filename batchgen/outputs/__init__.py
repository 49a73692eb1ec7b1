"""Finished files: downloaded, checked, delivered into a folder or a bucket, and read there."""
