"""Numbers of bytes for people."""


def size_text(count: float) -> str:
    """Bytes for people: `1.2 MB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def usd(value: float | None) -> str:
    """Money for people: `$12.34`, with more digits where cents are too coarse."""
    if value is None:
        return "–"
    cents = round(value, 6) * 100
    # A sum of a million prices is off by more than a few.
    is_whole = abs(round(cents) - cents) < 1e-5 + 1e-9 * abs(cents)
    if is_whole:
        return f"${value:,.2f}"
    # Embeddings cost a few millionths.
    is_fine = abs(value) < 0.001 and round(value, 4) != round(value, 6)
    return f"${value:,.6f}" if is_fine else f"${value:,.4f}"
