"""Which part of an answer can be printed for good."""

import pytest

from llm_api.cli.talk.answer_view import split_blocks


@pytest.mark.parametrize(
    ("text", "block", "rest"),
    [
        ("one line", "", "one line"),
        ("a\n\nb", "a\n\n", "b"),
        ("a\n\nb\n\n", "a\n\nb\n\n", ""),
        ("a\n \t\nb", "a\n \t\n", "b"),
        ("```\nx\n\ny", "", "```\nx\n\ny"),
        ("a\n\n```py\nx\n\ny\n```\n\nb", "a\n\n```py\nx\n\ny\n```\n\n", "b"),
        ("    ```\n\nb", "    ```\n\n", "b"),
    ],
)
def test_block_ends_at_an_empty_line_outside_of_code(text: str, block: str, rest: str) -> None:
    assert split_blocks(text) == (block, rest)
