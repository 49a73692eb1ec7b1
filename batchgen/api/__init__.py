"""batchgen in Python: batches made from values, results as they land, the same run underneath.

`batchgen` itself names what is public; `docs/python.md` shows how it is used.
"""

from __future__ import annotations
