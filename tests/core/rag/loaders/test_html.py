"""What of an HTML page becomes text, and where it stands in tables."""

import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.chunking import ChunkSettings, split_document
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.types import Document

LIMIT = 50_000_000


def text_of(markup: str) -> str:
    return load_html(markup, LIMIT).text


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("<tr><th>Name<th>Qty<th>Price<tr><td>Bolt<td><td>5", "Name | Qty | Price\nBolt |  | 5"),
        ("<tr><td>a<td>b<tr><td>c<td>", "a | b\nc | "),
        ("<tr><th>A<th>B<th>C<tr><td colspan=2>x<td>y", "A | B | C\nx |  | y"),
        ("<tr><td rowspan=2>x<td>1<tr><td>2<tr><td>y<td>3", "x | 1\nx | 2\ny | 3"),
        ("<tr><td>1<td rowspan=2>x<td>2<tr><td>3<td>4", "1 | x | 2\n3 | x | 4"),
        ("<tr><td>1<td>2<td rowspan=2>x<tr><td>3", "1 | 2 | x\n3 |  | x"),
        (
            "<tr><th rowspan=2>Name<th colspan=2>Size<tr><th>W<th>H<tr><td>Bolt<td>1<td>2",
            "Name | Size | Size\nName | W | H\nBolt | 1 | 2",
        ),
        ("<tr><th colspan=2>All bolts<tr><td>a<td>b", "All bolts\na | b"),
        ("<caption>C</caption><tr><td>a<td>b", "C\na | b"),
        ("<tr><td>a<td><p>one</p><p>two<br>three</p>", "a | one two three"),
        ("<thead><tr><td rowspan=9>A<td>B<tbody><tr><td>1<td>2", "A | B\n1 | 2"),
        (
            "<tr><th>A<th>B<tr><td>a<td><table><tr><td>x<td>y<tr><td>1<td>2</table><tr><td>b<td>c",
            "A | B\na | x, y; 1, 2\nb | c",
        ),
        ("<tr><td>a<td>b<tr><td><td><tr><td>c<td>d", "a | b\nc | d"),
        ("<tr><td rowspan=x>a<td colspan=-1>b<td rowspan=99999999999999>c", "a | b | c"),
    ],
)
def test_value_stands_in_its_own_column(table: str, lines: str) -> None:
    assert text_of(f"<table>{table}</table>") == lines


@pytest.mark.parametrize(
    "markup",
    [
        "<table><tr><td><h1>T</h1><p>one<p>two</table>",
        "<table><tr><td><h1>T</h1><td><p>one<tr><td><td><p>two</table>",
        "<table role=presentation><tr><td>T<td><p>one<tr><td><td><p>two</table>",
    ],
)
def test_table_that_only_places_things_is_read_as_paragraphs(markup: str) -> None:
    assert text_of(markup) == "T\n\none\n\ntwo"


def test_table_inside_one_that_only_places_things_keeps_its_columns() -> None:
    inner = "<table><tr><td>x<td><td>y<tr><td>1<td>2<td>3</table>"
    assert text_of(f"<table><tr><td>left<td>{inner}</table>") == "left\n\nx |  | y\n1 | 2 | 3"


def long_table(head: str) -> str:
    rows = "".join(f"<tr><td>Item {number}<td>{number}<td>{number * 2}" for number in range(90))
    before, after = "what is in the store", "<p>what there is elsewhere<h2>More</h2><p>end"
    return f"<h1>Stock</h1><p>{before}<table>{head}{rows}</table>{after}"


@pytest.mark.parametrize("cell", ["th", "td"])
def test_later_chunks_of_a_long_table_carry_its_header(cell: str) -> None:
    head = "".join(f"<{cell}>{name}" for name in ("Name", "Quantity", "Price"))
    loaded = load_html(long_table(f"<tr>{head}"), LIMIT)
    document = Document("d", loaded.text, sections=loaded.sections)
    settings = ChunkSettings(60, 0)
    chunks = list(
        split_document(document, settings, lambda texts: [len(text.split()) for text in texts])
    )
    rows = [chunk for chunk in chunks if "Item" in chunk.text]
    assert len(rows) > 4
    assert {chunk.headings for chunk in rows} == {("Stock", "Name | Quantity | Price")}
    assert [chunk.headings for chunk in chunks if "Item" not in chunk.text] == [
        ("Stock",),
        ("Stock",),
        ("Stock", "More"),
    ]
    assert all(chunk.text == document.text[chunk.span.start : chunk.span.end] for chunk in chunks)


def test_merged_cells_cost_no_more_than_their_bound() -> None:
    wide = "<td rowspan=65534 colspan=1000>" * 1_000
    with pytest.raises(UnreadableFileError, match="merged cells"):
        load_html(f"<table><tr><td>{wide}{'<tr><td>x<td>y' * 20_000}</table>", LIMIT)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>", "E=mc^2"),
        (
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>",
            "(a+b)/2",
        ),
        (
            "<math><semantics><msqrt><mi>x</mi></msqrt><annotation>\\sqrt x</annotation></math>",
            "√(x)",
        ),
        (
            "<math><munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover><mi>i</mi></math>",
            "∑_i^ni",
        ),
        (
            "<math><mtable><mtr><mtd>1</mtd><mtd>0</mtd></mtr><mtr><mtd>x</mtd></mtr></mtable></math>",
            "[1, 0; x]",
        ),
        ("<math>" + "<mrow>" * 5_000 + "<mi>x</mi></math>", "x"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>です", "漢字(かんじ)です"),
        ("<p>see<img alt='a red bolt' src=x>here", "see a red bolt here"),
        ("<details><summary>More</summary>hidden words</details>", "More\nhidden words"),
        (
            "<p>Name <input value=Ada> <input type=hidden value=no><input type=checkbox checked>",
            "Name Ada [x]",
        ),
        ("<p>Size <select><option>1<option selected>two</select>", "Size two"),
        ("<p>Size <select><option>1<option>two</select>", "Size 1"),
        ("<p>Note <textarea>words of mine</textarea>", "Note words of mine"),
        ("<dialog>closed</dialog><dialog open>open</dialog>", "open"),
        (
            "<svg><title>Sales</title><style>x</style><text>2024</text><text>2025</text></svg>",
            "Sales 2024 2025",
        ),
        ("<pre hidden>x</pre><p>a   b", "a b"),
    ],
)
def test_words_that_stand_elsewhere_than_in_paragraphs_are_read(markup: str, text: str) -> None:
    assert text_of(markup) == text


def test_what_is_not_read_is_named() -> None:
    page = "<p>words<img src=a><img src=b alt=''><iframe src=c></iframe><canvas></canvas>"
    assert load_html(page, LIMIT).warnings == (
        "Pictures without a description, not read: 1.",
        "Embedded parts, not read: 1 canvas, 1 iframe.",
    )


def test_page_without_losses_has_no_warnings() -> None:
    assert (
        load_html("<p>words<img src=b alt=''><table><tr><td>a<td>b</table>", LIMIT).warnings == ()
    )
