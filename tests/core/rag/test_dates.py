import pytest

from llm_api.core.rag.dates import parse_date


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:00:01", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("0001-01-01", -62135596800),
        ("", None),
        ("1970", None),
        ("1970-13-01", None),
        ("yesterday", None),
    ],
)
def test_iso_dates_are_understood_and_nothing_else(text: str, seconds: float | None) -> None:
    assert parse_date(text) == seconds
