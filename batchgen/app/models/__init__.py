"""The models a run knows: the catalogue of a manifest, and its update from the service."""
