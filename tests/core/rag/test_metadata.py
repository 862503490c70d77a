import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.metadata import (
    MAX_FIELDS,
    MAX_ITEMS,
    MAX_TEXT,
    check_metadata,
    keys,
    presence_tag,
    tag,
)
from llm_api.core.rag.types import Metadata, Scalar


def test_metadata_is_found_by_tags_numbers_and_dates() -> None:
    found = keys({"a b": ["x", 1, True], "y": 2.5, "d": "1970-01-02", "n": None})
    assert found.tags == [
        *("a%20b=*", 'a%20b="x"', "a%20b=1", "a%20b=true"),
        *("y=*", "y=2.5"),
        *("d=*", 'd="1970-01-02"'),
    ]
    assert found.numbers == {"a%20b": [1.0], "y": [2.5]}
    assert found.dates == {"d": [86400.0]}


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (1, "1", False),
        ("true", True, False),
        (2**53, float(2**53), True),
        (2**53 + 1, float(2**53), False),
        ("\u00e9", "e\u0301", False),
        ("x" * 9000, "x" * 9000, True),
        ("x" * 9000, "x" * 9001, False),
    ],
)
def test_tags_are_equal_as_their_values_are(one: Scalar, other: Scalar, are_equal: bool) -> None:
    assert (tag("f", one) == tag("f", other)) == are_equal


def test_no_field_can_pose_as_another() -> None:
    assert tag('a="x', "y") != tag("a", 'x="y')
    assert tag("a=", "b") != tag("a", "=b")
    assert tag("a", "*") != presence_tag("a")


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({f"f{n}": 1 for n in range(MAX_FIELDS + 1)}, "metadata"),
        ({"": 1}, "metadata"),
        ({"x" * 300: 1}, "metadata"),
        ({"\ud800": 1}, "metadata"),
        ({"a": "\udc00"}, "metadata.a"),
        ({"a": ["ok", "x" * (MAX_TEXT + 1)]}, "metadata.a"),
        ({"a": [1] * (MAX_ITEMS + 1)}, "metadata.a"),
        ({"a": float("nan")}, "metadata.a"),
        ({f"f{n}": "x" * MAX_TEXT for n in range(5)}, "metadata"),
        ({f"f{n}" * 20: [1] * MAX_ITEMS for n in range(MAX_FIELDS)}, "metadata"),
        ({"a": -(2**63)}, "metadata.a"),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(metadata: Metadata, path: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_metadata(metadata)
    assert caught.value.param == path
