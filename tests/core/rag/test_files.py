import pytest

from llm_api.core.rag.files import document_id


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
