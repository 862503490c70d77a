"""What each kind of file becomes, and why some become nothing."""

import gzip
import json
import os
import tracemalloc

import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.kinds import label
from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.worker import answer_file
from tests.core.rag.loaders.files import docx, encrypted_pdf, paragraph, pdf, zipped

LIMITS = FileLimits()
HTML = "<!DOCTYPE html><html><head><title>T</title></head><body><p>Hello</p></body></html>"


def loaded(data: bytes | str, name: str, limits: FileLimits = LIMITS) -> LoadedText:
    return load(data if isinstance(data, bytes) else data.encode(), name, limits)


def headed(text: LoadedText) -> list[tuple[tuple[str, ...], str]]:
    """Headings of each section, and the line that it begins with."""
    return [
        (section.headings, text.text[section.start :].split("\n", 1)[0])
        for section in text.sections
    ]


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"plain words", "a.txt", "text"),
        (b"plain words", "noextension", "text"),
        (b"plain words", "a.unheard-of", "text"),
        (b"plain words", "report.pdf", "text"),
        (b"# Heading", "a.md", "markdown"),
        (HTML.encode(), "a.html", "html"),
        (HTML.encode(), "a.txt", "html"),
        (HTML.encode(), "a", "html"),
        (b"<p>bare</p>", "a.htm", "html"),
        (b'{"a": 1}', "a.json", "json"),
        (b'{"a": 1}', "a.txt", "json"),
        (b'{"a": 1}\n{"a": 2}\n', "a", "json"),
        (b"[link](target) and more", "a", "text"),
        (b"a,b\n1,2\n", "a.CSV", "csv"),
        (b"<a>words</a>", "a.xml", "xml"),
        (b"<?xml version='1.0'?><a>words</a>", "a", "xml"),
        (b"<a>words</a>", "a", "text"),
        (b"#!/bin/sh\necho", "run", "code"),
        (b"def f(): ...", "a.py", "code"),
        (pdf(["words"]), "a.pdf", "pdf"),
        (pdf(["words"]), "a.txt", "pdf"),
        (b"\n" + pdf(["words"]), "a", "pdf"),
        (docx(paragraph("words")), "a.docx", "docx"),
        (docx(paragraph("words")), "a.pdf", "docx"),
        (b"{\\rtf1 words}", "a.txt", "rtf"),
        (b"Subject: words\n\nmore", "a.eml", "mail"),
        (b"Subject: words\n\nmore", "a.txt", "text"),
        (b'{"cells": [{"cell_type": "markdown", "source": "words"}]}', "a.ipynb", "notebook"),
    ],
)
def test_content_tells_the_kind_before_the_extension_does(
    data: bytes, name: str, kind: str
) -> None:
    assert loaded(data, name).metadata["kind"] == kind


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (encrypted_pdf(), "a.pdf", "encrypted"),
        (pdf(["words"])[:200], "a.pdf", "damaged"),
        (b"%PDF-1.7 nothing", "a.pdf", "damaged"),
        (pdf(["", ""]), "a.pdf", "OCR"),
        (docx(paragraph("words"))[:-40], "a.docx", "damaged"),
        (docx(paragraph("")), "a.docx", "no text"),
        (docx("<w:p><unclosed>"), "a.docx", "damaged"),
        (zipped({"a.txt": "words"}), "a.docx", "a ZIP archive"),
        (zipped({"[Content_Types].xml": "spreadsheetml"}), "a.xlsx", "another Office file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.doc", "save as DOCX"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "a.docx",
            "encrypted",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__properties_version1.0".encode("utf-16-le"),
            "a",
            "no whole Outlook message",
        ),
        (b'{"worksheets": []}', "a.ipynb", "version 4"),
        (b"\x89PNG\r\n\x1a\n", "a.txt", "it is an image; RAG_OCR=auto"),
        (gzip.compress(b"words", mtime=0), "a.txt", "a compressed archive"),
        (bytes(range(256)) * 40, "a.txt", "binary"),
        (b"\0" * 1000, "a.txt", "binary"),
        (b"\x01\x02\x03\x04" * 100, "a.txt", "binary"),
        (b" \n\t ", "a.txt", "no text"),
        (b"<html><script>only()</script></html>", "a.html", "no text"),
        (b'{"a": ', "a.json", "line 1 is no JSON"),
        (b'{"a": 1}\n{"a": \n', "a.jsonl", "line 2 is no JSON"),
        (b"[" * 200_000, "a.json", "deep"),
    ],
)
def test_refusal_says_why_in_one_line(data: bytes, name: str, reason: str) -> None:
    answer = answer_file(data, name, LIMITS)
    assert answer.loaded is None
    assert reason in answer.reason
    assert "\n" not in answer.reason


def test_random_bytes_are_refused_whatever_their_name() -> None:
    data = os.urandom(20_000)
    for name in ("a", "a.txt", "a.md", "a.html", "a.json", "a.csv", "a.pdf", "a.docx", "a.py"):
        with pytest.raises(UnreadableFileError):
            loaded(b"\0" + data, name)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße, 日本".encode(), "Grüße, 日本"),
        ("\ufeffGrüße".encode(), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße".encode("utf-32"), "Grüße"),
        (("Plain English words. " * 20).encode("utf-16-le"), "Plain English words. " * 20),
        (b"\xa9 2020 caf\xe9", "© 2020 café"),
        (("Привет, как дела? " * 20).encode("cp1251"), "Привет, как дела? " * 20),
        (("これはテストの文章です。" * 20).encode("shift_jis"), "これはテストの文章です。" * 20),
        (b"one\r\ntwo\rthree\x0cfour", "one\ntwo\nthree\nfour"),
        (b"bell\x07 in a long text " + b"x" * 300, "bell in a long text " + "x" * 300),
    ],
)
def test_text_is_decoded_from_its_charset(data: bytes, text: str) -> None:
    assert loaded(data, "a.txt").text == text


def test_markdown_keeps_its_text_and_gives_its_headings() -> None:
    text = (
        "---\ntitle: 'The guide'\nlayout: x\n---\nintro\n\n# One `code` *and* [link](x)\n\n"
        "```\n# no heading\n```\n\nTwo\n---\n\n> # quoted\n\n### Three\n\n# Four #\n"
    )
    found = loaded(text, "a.md")
    assert found.text == text
    assert found.title == "The guide"
    assert headed(found) == [
        (("One code and link",), "# One `code` *and* [link](x)"),
        (("One code and link", "Two"), "Two"),
        (("One code and link", "Two", "Three"), "### Three"),
        (("Four",), "# Four #"),
    ]


def test_header_of_a_long_markdown_table_is_a_heading_of_it() -> None:
    rows = "".join(f"| Item {number} | {number} |\n" for number in range(90))
    table = f"| Name | Quantity |\n|:---|---:|\n{rows}"
    text = f"# Stock\n\nbefore\n\n{table}\nafter\n\n| a |\n|--|\n| b |\n"
    found = loaded(text, "a.md")
    assert found.text == text
    assert headed(found) == [
        (("Stock",), "# Stock"),
        (("Stock", "Name | Quantity"), "| Name | Quantity |"),
        (("Stock",), ""),
    ]


def test_first_heading_is_the_title_of_markdown_without_one() -> None:
    assert loaded("words\n\n# Guide\n", "a.md").title == "Guide"


def test_html_gives_what_a_reader_sees() -> None:
    page = """<html><head><title> The
      page </title><style>p {}</style></head><body><nav><a>Home</a></nav>
      <script>evil()</script><noscript>turn it on</noscript><!-- comment -->
      <h1>Cats &amp; <em>dogs</em></h1><p>First  li&#7;ne<br>second <b>b</b>old.</p>
      <ul><li>one</li><li><p>two</p></li></ul><div hidden>no</div>
      <p style="color: red; Display : none">no</p><span aria-hidden="true">no</span>
      <table><tr><th>a</th><th><p>b</p></th></tr><tr><td>1</td><td></td><td>3</td></tr></table>
      <h3>Code</h3><pre>def f():
    return 1</pre><footer>imprint</footer></body></html>"""
    found = loaded(page, "a.html")
    assert found.title == "The page"
    assert found.text == (
        "Cats & dogs\n\nFirst line\nsecond bold.\n\n- one\n\n- two\n\n"
        "a | b\n1 |  | 3\n\nCode\n\ndef f():\n    return 1"
    )
    assert headed(found) == [
        (("Cats & dogs",), "Cats & dogs"),
        (("Cats & dogs", "Code"), "Code"),
    ]


@pytest.mark.parametrize(
    "markup",
    ["<div>" * 10_000 + "deep", "<table><tr><td>" * 20_000 + "deep", "<b>" * 5_000 + "deep"],
    ids=["div", "table", "b"],
)
def test_html_may_nest_however_deeply(markup: str) -> None:
    assert "deep" in loaded(markup, "a.html").text


def test_pdf_gives_pages_and_the_headings_of_its_outline() -> None:
    data = pdf(
        ["Cover", "Running head\nFirst things\nwords of one", "words of two\nLast things\nend"],
        title="The book",
        outline=[("First things", 1), ("Last  things", 2), ("Not on its page", 2)],
    )
    found = loaded(data, "a.pdf")
    assert found.title == "The book"
    assert found.metadata["pages"] == 3
    assert [
        (section.page, *line) for section, line in zip(found.sections, headed(found), strict=True)
    ] == [
        (1, (), "Cover"),
        (2, (), "Running head"),
        (2, ("First things",), "First things"),
        (3, ("First things",), "words of two"),
        (3, ("Last things",), "Last things"),
    ]


def test_docx_gives_its_text_tables_and_headings() -> None:
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("x", "y"))
    body = (
        paragraph("Guide", "H1")
        + paragraph("Some words.")
        + paragraph("Part", "H2")
        + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"
        + f"<w:sdt><w:sdtContent>{paragraph('In a control')}</w:sdtContent></w:sdt>"
    )
    found = loaded(docx(body), "a.docx")
    assert found.text == "Guide\n\nSome words.\n\nPart\n\nx | y\n\nIn a control"
    assert found.title == "Guide"
    assert [section.headings for section in found.sections] == [("Guide",), ("Guide", "Part")]


def test_csv_row_names_its_columns() -> None:
    found = loaded('name;born;note\nAda;1815;"first;\nof all"\n\nAlan;1912;\nx;y;z;more\n', "a.csv")
    assert found.text == (
        "name: Ada\nborn: 1815\nnote: first;\nof all\n\nname: Alan\nborn: 1912\n\n"
        "name: x\nborn: y\nnote: z\ncolumn 4: more\n\n"
    )
    assert found.metadata["rows"] == 3


def test_json_gives_every_value_with_its_path() -> None:
    value = {"a": [1, {"b": "words\nmore"}], "none": None, "empty": "", "yes": True, "x": 1.5}
    assert loaded(json.dumps(value), "a.json").text == (
        "a[0]: 1\na[1].b: words\nmore\nyes: true\nx: 1.5\n\n"
    )


def test_json_lines_and_a_list_give_a_paragraph_for_each_record() -> None:
    lines = loaded('{"a": 1}\n\n{"a": {"b": 2}}\n', "a.jsonl")
    assert lines.text == "a: 1\n\na.b: 2\n\n" == loaded('[{"a": 1}, {"a": {"b": 2}}]', "a").text
    assert lines.metadata["records"] == 2


def test_long_name_above_many_values_costs_no_more_than_its_bound() -> None:
    data = json.dumps({"x" * 100_000: [1] * 100_000}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError, match="more than 1,000,000 characters"):
            loaded(data, "a.json", FileLimits(characters=1_000_000))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000


def test_lone_surrogate_in_json_leaves_text_that_can_be_encoded() -> None:
    assert loaded(r'{"a": "x\ud800y", "b": "\u0000z"}', "a.json").text == "a: x\ufffdy\nb: z\n\n"


def test_code_has_its_functions_as_sections() -> None:
    text = (
        "import x\n\nclass A(B):\n    async def run(self):\n        classy = 1\n\n"
        "def other(): ...\n"
        "pub(crate) fn rusty() {}\nfunc (s *Server) Serve() {}\nexport default function js() {}\n"
    )
    found = loaded(text, "a.py")
    assert found.text == text
    assert [section.headings for section in found.sections] == [
        ("A",),
        ("A", "run"),
        ("other",),
        ("rusty",),
        ("Serve",),
        ("js",),
    ]


def bomb() -> bytes:
    return docx(paragraph("words"), **{"word/media/x.xml": bytes(100_000_000)})


def test_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(UnreadableFileError, match="unpacks to"):
        loaded(bomb(), "a.docx")


@pytest.mark.parametrize("member", ["word/document.xml", "[Content_Types].xml"])
def test_archive_cannot_unpack_more_than_it_says(member: str) -> None:
    other = "[Content_Types].xml"
    honest = docx("x" * 50_000_000) if member != other else docx("", **{other: b" " * 50_000_000})
    size = next(n for n in range(50_000_000, 50_001_000) if n.to_bytes(4, "little") in honest)
    lying = honest.replace(size.to_bytes(4, "little"), (900).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        answer = answer_file(lying, "a.docx", LIMITS)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "damaged" in answer.reason
    assert peak_bytes < 5_000_000


@pytest.mark.parametrize(
    ("data", "name", "limits", "reason"),
    [
        (pdf(["a", "b", "c"]), "a.pdf", FileLimits(pages=2), "3 pages"),
        (b"x" * 11, "a.txt", FileLimits(characters=10), "more than 10 characters"),
        (b"<p>" + b"x" * 11, "a.html", FileLimits(characters=10), "more than 10 characters"),
        (b"a\n" * 20, "a.csv", FileLimits(characters=10), "more than 10 characters"),
        (b'{"a": "%b"}' % (b"x" * 11), "a.json", FileLimits(characters=10), "more than 10"),
        (pdf(["x" * 11]), "a.pdf", FileLimits(characters=10), "more than 10 characters"),
        (docx(paragraph("x" * 11)), "a.docx", FileLimits(characters=10), "more than 10 characters"),
        (docx(paragraph("x")), "a.docx", FileLimits(unpacked_bytes=100), "unpacks to"),
    ],
)
def test_limit_refuses_and_never_cuts(
    data: bytes, name: str, limits: FileLimits, reason: str
) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        loaded(data, name, limits)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        ("/", "file"),
        ("", "file"),
        ("..", ".."),
        ("a\n\0b\x1b[31m.txt", "ab[31m.txt"),
        ("x" * 1000 + ".md", "x" * 252 + ".md"),
    ],
)
def test_name_is_a_label(name: str, shown: str) -> None:
    assert label(name) == shown
