"""Dates in metadata: which strings are ones, and where they stand in time. Pure."""

from datetime import UTC, datetime


def parse_date(text: str) -> float | None:
    """Unix seconds of an ISO 8601 date or date and time, or None. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
