"""What makes finished files a dataset: metadata, card and exports."""
