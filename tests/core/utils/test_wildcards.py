import pytest

from llm_api.core.utils.wildcards import fits


@pytest.mark.parametrize(
    ("text", "pattern", "is_so"),
    [
        ("abc", "abc", True),
        ("abc", "ab", False),
        ("abc", "a*", True),
        ("abc", "*c", True),
        ("abc", "*", True),
        ("", "*", True),
        ("a", "a*a", False),
        ("aa", "a*a", True),
        ("a-x-b-y-c", "a*b*c", True),
        ("a-y-x-c", "a*x*y*c", False),
        ("abab", "a*b*b", True),
        ("A", "a", False),
        ("[", "[", True),
    ],
)
def test_a_star_stands_for_any_text(text: str, pattern: str, is_so: bool) -> None:
    assert fits(text, pattern) is is_so


def test_many_stars_take_no_longer_than_few() -> None:
    assert not fits("a" * 100_000, "*a" * 500 + "*b")
