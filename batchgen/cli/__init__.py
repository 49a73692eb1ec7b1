"""Arguments to composition to exit codes; the only place that builds adapters."""
