"""Whom jobs are sent to, one folder a service."""
