"""Files of every kind, whole, damaged and made up, through the loaders.

Whatever is uploaded: an answer in time, a text that can be stored and cut with everything that
points into it, or one line that says why there is none. A fault of a loader of our own is harm;
that a library gives up on a damaged PDF or DOCX is none, as it is told as such.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from llm_api.core.rag.chunking import ChunkSettings, split_document
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.worker import answer_file, decode_answer, encode_answer
from llm_api.core.rag.metadata import check_metadata
from llm_api.core.rag.types import Document
from scripts.fuzz.rounds import Target
from tests.core.rag.loaders.files import docx, drawn_pdf, paragraph, pdf

LIMITS = FileLimits()
ANSWER_SECONDS = 5.0
"""A file of a few kilobytes: milliseconds, or something is wrong."""

_OF_A_LIBRARY = (b"%PDF", b"PK\x03\x04")
_FAULT = re.compile(r"damaged \(\w+\)")
_WORDS = ("Name", "5", "Bolt", "Größe", "京都", "ab", " ", "\u202e", "1.5", "2024", "", "#", "'")

_MARKUP = re.findall(
    r"\S+",
    """<p> <b> </b> <div> </div> <table> </table> <tr> <td> <th> <td\trowspan=3> <td\tcolspan=2>
    <th\tcolspan=9> <thead> <tbody> <h1> </h1> <h3> <ul> <li> <pre> </pre> <br> <img\talt=x> <img>
    <input\tvalue=x> <select> <option> </select> <math> <mfrac> <mi> <mn> </mfrac> </math> <ruby>
    <rt> </rt> </ruby> <svg> <text> </svg> <details> <caption> <td\thidden> <template> <!-- -->
    <title> </title> <script> </script> &amp; &#7; &#xd800; <body> <iframe> <footer> <textarea>""",
)
_MARKS = (
    "# ",
    "## ",
    "|",
    "|-|-|",
    "\n",
    "\n\n",
    "- ",
    "> ",
    "```",
    "`",
    "---\n",
    "title: ",
    "[x]",
)
_OFFICE = (
    "<w:p>",
    "</w:p>",
    "<w:r><w:t>words</w:t></w:r>",
    "<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>",
    '<w:tc><w:tcPr><w:vMerge/><w:gridSpan w:val="2"/></w:tcPr><w:p/></w:tc>',
    "<w:tbl>",
    "</w:tbl>",
    "<w:tr>",
    "</w:tr>",
    "<w:ruby><w:rubyBase/><w:rt/></w:ruby>",
    "<w:drawing><w:txbxContent><w:p/></w:txbxContent></w:drawing>",
    "<w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink>",
)
_TWO = (
    "BT /F1 9 Tf 72 {0} Td (left words and more) Tj ET BT /F1 9 Tf 320 {0} Td (right ones) Tj ET "
)
_WHOLE = {
    "a.pdf": (
        pdf(["Cover", "First\nwords", ""], title="T", outline=[("First", 1)]),
        drawn_pdf("".join(_TWO.format(700 - 12 * place) for place in range(8)), page="/Rotate 90"),
    ),
    "a.docx": (docx(paragraph("Guide", "H1") + "<w:tbl/>" + paragraph("words")),),
    "a.html": (b"<title>T</title><table><tr><th>A<th>B<tr><td>1<td>2</table><p>words",),
    "a.csv": (b"Name,Phone,Phone\nAda,1,2\n", b"# note\nName;Ort\nM\xfcller;K\xf6ln\n"),
    "a.json": (b'{"a": [1, {"b": "words"}], "c": null}', b'{"a": 1}\n{"a": 2}\n'),
    "a.md": (b"---\ntitle: T\n---\n# One\n\n|a|b|\n|-|-|\n|1|2|\n",),
    "a.py": (b"# -*- coding: latin-1 -*-\nclass A:\n    def f(self): ...\n",),
    "a.txt": ("Grüße, 日本".encode("utf-16"), "Привет, как дела?".encode("koi8-r")),
}
_CHARSETS = ("", "", "", "utf-8", "cp1252", "koi8-r", "shift_jis", "utf-16", "zip", "klingon", "\0")
_ENCODINGS = ("utf-8", "utf-8", "cp1252", "utf-16", "utf-16-le", "utf-32-be", "gb18030", "koi8-r")


@dataclass(frozen=True, slots=True)
class Uploaded:
    name: str
    data: bytes
    charset: str


@contextmanager
def opened() -> Iterator[Target[Uploaded]]:
    """The target. The parsers run in this process: starting one for each refusal takes too long."""
    yield Target(uploads(), _check)


def uploads() -> SearchStrategy[Uploaded]:
    files = st.one_of(_damaged(), _written(), _tables(), _documents())
    charsets = st.sampled_from(_CHARSETS)
    return st.builds(lambda file, charset: Uploaded(file[0], file[1], charset), files, charsets)


@st.composite
def _damaged(draw: DrawFn) -> tuple[str, bytes]:
    """A whole file, cut, overwritten, repeated in parts, perhaps under another name."""
    name = draw(st.sampled_from(sorted(_WHOLE)))
    data = draw(st.sampled_from(_WHOLE[name]))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 30))
        what = draw(st.one_of(st.binary(max_size=8), st.just(data[start:end] * 3)))
        data = data[:start] + what + data[end:]
    return draw(st.sampled_from([name, name, name, "a.txt", "a"])), data


def _joined(pieces: Sequence[str]) -> SearchStrategy[str]:
    parts = st.one_of(st.sampled_from(pieces), st.sampled_from(_WORDS), st.text(max_size=5))
    return st.lists(parts, max_size=40).map(lambda each: "".join(each).replace("\t", " "))


@st.composite
def _written(draw: DrawFn) -> tuple[str, bytes]:
    """Markup and Markdown in pieces, in some charset."""
    name, pieces = draw(st.sampled_from([("a.html", _MARKUP), ("a.md", _MARKS), ("a", _MARKUP)]))
    encoding = draw(st.sampled_from(_ENCODINGS))
    return name, draw(_joined(pieces)).encode(encoding, errors="replace")


@st.composite
def _tables(draw: DrawFn) -> tuple[str, bytes]:
    cells = st.one_of(st.sampled_from(_WORDS), st.text(max_size=4), st.just('"a\n""b"'))
    delimiter = draw(st.sampled_from(",;\t|"))
    rows = draw(st.lists(st.lists(cells, max_size=6).map(delimiter.join), max_size=8))
    encoding = draw(st.sampled_from(_ENCODINGS))
    return "a.csv", "\n".join(rows).encode(encoding, errors="replace")


def _documents() -> SearchStrategy[tuple[str, bytes]]:
    bodies = st.lists(st.sampled_from(_OFFICE), max_size=12).map("".join)
    return bodies.map(lambda body: ("a.docx", docx(body)))


def _check(file: Uploaded) -> None:
    began = time.monotonic()
    sent = encode_answer(answer_file(file.data, file.name, LIMITS, file.charset))
    header, _, text = sent.partition(b"\n")
    answer = decode_answer(header, text)
    assert time.monotonic() - began < ANSWER_SECONDS
    if answer.loaded is None:
        _check_refusal(file, answer.reason)
    else:
        _check_loaded(answer.loaded)


def _check_refusal(file: Uploaded, reason: str) -> None:
    assert "\n" not in reason
    is_library = file.data[:4] in _OF_A_LIBRARY
    assert is_library or not _FAULT.search(reason), reason


def _check_loaded(loaded: LoadedText) -> None:
    """It is a text as `LoadedText` promises it, and can be cut."""
    assert loaded.text.strip()
    assert clean(loaded.text) == loaded.text
    assert clean(loaded.title) == loaded.title
    assert all(warning and "\n" not in warning for warning in loaded.warnings)
    check_metadata(loaded.metadata)
    starts = [section.start for section in loaded.sections]
    assert all(before <= after for before, after in pairwise(starts))
    assert all(0 <= start <= len(loaded.text) for start in starts)
    document = Document("d", loaded.text, loaded.title, loaded.metadata, loaded.sections)
    settings = ChunkSettings(20, 4)
    chunks = list(split_document(document, settings, lambda texts: list(map(_tokens, texts))))
    words = "".join(loaded.text.split())
    assert chunks
    for chunk in chunks:
        assert chunk.text == loaded.text[chunk.span.start : chunk.span.end]
    assert sum(len("".join(chunk.text.split())) for chunk in chunks) >= len(words)


def _tokens(text: str) -> int:
    return len(text) // 4 + 1
