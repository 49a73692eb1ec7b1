"""Segmind: what is sent, what the answers mean, and how they travel.

Pure: `requests`, `responses`, `errors`, `treatments`, `receipts`, `outputs`, `history` and
`uploads`, put together in `provider`. Not pure: the `client`, and the `simulator`, which knows none
of them. `catalog` holds the models as data.
"""
