import pytest

from llm_api.core.utils.byte_size import format_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (98_362_432, "98 MB"),
        (999_999, "1.0 MB"),
        (4_080_000_000, "4.1 GB"),
        (51 * 10**9, "51 GB"),
        (7 * 10**15, "7000 TB"),
    ],
)
def test_a_size_is_short_and_rounded(count: int, text: str) -> None:
    assert format_bytes(count) == text
