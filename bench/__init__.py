"""How fast it is, by ratios: `python -m bench` (see `docs/performance.md`)."""
