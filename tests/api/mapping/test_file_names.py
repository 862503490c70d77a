"""Names and types that strangers give."""

import pytest

from llm_api.api.mapping.files import bare_name, known_type
from llm_api.core.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("notes.txt", "notes.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\boot.ini", "boot.ini"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("a\r\nb.txt", "ab.txt"),
        (".bashrc", ".bashrc"),
        ("größe 1.txt", "größe 1.txt"),
    ],
)
def test_name_loses_its_folders_and_control_characters(given: str, name: str) -> None:
    assert bare_name(given) == name


@pytest.mark.parametrize("given", ["", "/", "..", "a/..", "\x00", " ", "x" * 256])
def test_name_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequestError):
        bare_name(given)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("text/plain", "text/plain"),
        ("Text/CSV; charset=Windows-1252", "text/csv; charset=windows-1252"),
        ('text/plain; charset="utf-8"; x=y', "text/plain; charset=utf-8"),
        ("text/html\r\nset-cookie: a=b", "application/octet-stream"),
        ("text/plain; charset=a\r\nb", "text/plain"),
        ("image", "application/octet-stream"),
        ("", "application/octet-stream"),
        (None, "application/octet-stream"),
        ("a/" + "b" * 300, "application/octet-stream"),
    ],
)
def test_type_is_one_line_that_a_header_can_carry(given: str | None, known: str) -> None:
    assert known_type(given) == known
