"""What is said of files to those who only send requests."""

import pytest

from llm_api.core.errors import without_folders


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("cannot load /srv/models/a.gguf: it is damaged", "cannot load a.gguf: it is damaged"),
        ("no '/home/ada/x y' here", "no 'x y' here"),
        ('open("/a/b/c")', 'open("c")'),
        ("(/a/b)", "(b)"),
        ("fetched from https://hub.example/a/b", "fetched from https://hub.example/a/b"),
        ("12 tokens/s and input/output", "12 tokens/s and input/output"),
        ("owner/name/file.gguf", "owner/name/file.gguf"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_an_absolute_path_the_last_part_is_left(reason: str, told: str) -> None:
    assert without_folders(reason) == told
