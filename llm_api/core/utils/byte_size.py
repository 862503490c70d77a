"""Sizes as people read them."""


def format_bytes(count: int) -> str:
    """Decimal units with two or three digits: `98 MB`, `4.1 GB`. Pure."""
    if count < 1000:
        return f"{count} bytes"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
