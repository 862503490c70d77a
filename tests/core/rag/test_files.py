import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_api.core.rag.files import document_id
from llm_api.core.rag.identity import is_carried


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("a.md", "a.md"),
        ("docs/a.md", "docs/a.md"),
        ("./docs//a.md", "docs/a.md"),
        ("../../x", "x"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\docs\\a.md", "C:/docs/a.md"),
        ("", "file"),
        ("..", "file"),
        ("a\x00b\n.md", "ab.md"),
    ],
)
def test_id_is_the_path_without_ways_out(name: str, id: str) -> None:
    assert document_id(name) == id


@given(st.text())
def test_id_of_a_file_is_carried_by_its_url(name: str) -> None:
    assert is_carried(document_id(name))
