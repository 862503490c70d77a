"""What of a DOCX becomes text: tables, formulas, shapes, page headers; and what is named."""

import pytest

from llm_api.core.rag.loaders.archive import opened_archive
from llm_api.core.rag.loaders.docx import load_docx
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from tests.core.rag.loaders.files import OFFICE, WORD, docx, paragraph

MATH = f"{OFFICE}/officeDocument/2006/math"
DRAWING = f"{OFFICE}/drawingml/2006"
COMPATIBILITY = f"{OFFICE}/markup-compatibility/2006"
SHAPE = "http://schemas.microsoft.com/office/word/2010/wordprocessingShape"


def loaded(body: str, **parts: bytes) -> LoadedText:
    with opened_archive(docx(body, **parts), FileLimits()) as archive:
        return load_docx(archive, FileLimits().characters)


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


def row(*cells: str, is_header: bool = False) -> str:
    properties = "<w:trPr><w:tblHeader/></w:trPr>" if is_header else ""
    return f"<w:tr>{properties}{''.join(cells)}</w:tr>"


def formula(content: str) -> str:
    return f'<m:oMath xmlns:m="{MATH}">{content}</m:oMath>'


def math_run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def drawing(content: str, description: str = "") -> str:
    return (
        f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="{DRAWING}/wordprocessingDrawing">'
        f'<wp:docPr id="1" name="x" descr="{description}"/>{content}</wp:inline></w:drawing>'
        "</w:r></w:p>"
    )


def text_box(words: str) -> str:
    content = f"<w:txbxContent>{paragraph(words)}</w:txbxContent>"
    return f'<wps:txbx xmlns:wps="{SHAPE}">{content}</wps:txbx>'


def edge(kind: str, words: str) -> bytes:
    return f'<w:{kind} xmlns:w="{WORD}">{paragraph(words)}</w:{kind}>'.encode()


def test_value_stands_in_its_own_column() -> None:
    restart, go_on, wide = (
        '<w:vMerge w:val="restart"/>',
        "<w:vMerge/>",
        '<w:gridSpan w:val="2"/>',
    )
    rows = (
        row(cell("Name"), cell("Qty"), cell("Price"), is_header=True)
        + row(cell("Bolt"), cell(""), cell("5"))
        + row(cell("Nut", restart), cell("1"), cell("2"))
        + row(cell("", go_on), cell("3"), cell("4"))
        + row(cell("wide", wide), cell("9"))
    )
    assert loaded(f"<w:tbl>{rows}</w:tbl>").text == (
        "Name | Qty | Price\nBolt |  | 5\nNut | 1 | 2\nNut | 3 | 4\nwide |  | 9"
    )


def test_table_within_a_cell_is_a_part_of_its_words() -> None:
    inner = f"<w:tbl>{row(cell('a'), cell('b'))}{row(cell('c'), cell('d'))}</w:tbl>"
    holding = f"<w:tc>{paragraph('in')}{inner}{paragraph('out')}</w:tc>"
    rows = row(cell("Name"), cell("Parts"), cell("Note")) + row(cell("x"), holding, cell("z"))
    assert loaded(f"<w:tbl>{rows}</w:tbl>").text == (
        "Name | Parts | Note\nx | in; a, b; c, d; out | z"
    )
    assert loaded(f"<w:tbl>{row(holding)}</w:tbl>").text == "in\n\na | b\nc | d\n\nout"


def part(name: str, content: str) -> str:
    return f"<m:{name}>{content}</m:{name}>"


X, TWO, SUM = math_run("x"), math_run("2"), math_run("a+b")
SIGMA = '<m:naryPr><m:chr m:val="∑"/></m:naryPr>'


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (math_run("y=") + part("sSup", part("e", X) + part("sup", TWO)), "y=x^2"),
        (part("f", part("num", SUM) + part("den", TWO)), "(a+b)/2"),
        (
            part("nary", SIGMA + part("sub", SUM) + part("sup", TWO) + part("e", X)),
            "∑_(a+b)^2x",
        ),
        (part("rad", part("deg", "") + part("e", X)), "√(x)"),
        (part("d", part("e", X)), "(x)"),
        (part("func", part("fName", math_run("sin")) + part("e", X)), "sin x"),
        (part("m", part("mr", part("e", X) + part("e", TWO)) + part("mr", X)), "[x, 2; x]"),
    ],
)
def test_formula_is_read(content: str, text: str) -> None:
    assert loaded(f"<w:p>{formula(content)}</w:p>").text == text


def test_formula_in_a_paragraph_of_its_own_is_read() -> None:
    block = f'<m:oMathPara xmlns:m="{MATH}">{formula(math_run("x=1"))}</m:oMathPara>'
    assert loaded(f"<w:p>{block}</w:p>").text == "x=1"


def test_ruby_keeps_its_signs_and_how_they_are_read() -> None:
    run = "<w:{0}><w:r><w:t>{1}</w:t></w:r></w:{0}>"
    ruby = f"<w:ruby>{run.format('rt', 'かんじ')}{run.format('rubyBase', '漢字')}</w:ruby>"
    assert loaded(f"<w:p><w:r>{ruby}</w:r></w:p>").text == "漢字(かんじ)"


def test_text_boxes_are_read_once() -> None:
    choice = (
        f'<mc:Choice xmlns:mc="{COMPATIBILITY}">{drawing(text_box("boxed"))[10:-12]}</mc:Choice>'
    )
    fallback = "<mc:Fallback/>"
    body = (
        drawing(text_box("drawn"))
        + f'<w:p><w:r><mc:AlternateContent xmlns:mc="{COMPATIBILITY}">{choice}{fallback}'
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert loaded(body).text == "drawn\n\nboxed"


def test_description_of_a_picture_is_read_and_one_without_is_named() -> None:
    picture = f'<pic:pic xmlns:pic="{DRAWING}/picture"/>'
    found = loaded(drawing(picture, "A red bolt") + drawing(picture) + paragraph("words"))
    assert found.text == "A red bolt\n\nwords"
    assert found.warnings == ("Pictures without a description, not read: 1.",)


def test_page_headers_and_footers_are_read_once_each() -> None:
    found = loaded(
        paragraph("words"),
        **{
            "word/header1.xml": edge("hdr", "Secret report"),
            "word/header2.xml": edge("hdr", "Secret report"),
            "word/footer1.xml": edge("ftr", "Company"),
            "word/footer2.xml": edge("ftr", " "),
        },
    )
    assert found.text == "Secret report\n\nwords\n\nCompany"


def test_words_in_wrappers_are_read() -> None:
    inner = paragraph("words")[5:-6]
    for wrapper in ("dir", "bdo", "hyperlink", "fldSimple", "smartTag", "ins", "moveTo"):
        assert loaded(f"<w:p><w:{wrapper}>{inner}</w:{wrapper}></w:p>").text == "words", wrapper


def test_what_is_not_read_is_named() -> None:
    comments = f'<w:comments xmlns:w="{WORD}"><w:comment w:id="0"></w:comment></w:comments>'
    found = loaded(
        paragraph("words") + "<w:altChunk/>",
        **{"word/comments.xml": comments.encode(), "word/embeddings/a.bin": b"x"},
    )
    assert found.warnings == (
        "Comments, not read: 1.",
        "Embedded documents, not read: 1.",
        "Embedded files, not read: 1.",
    )
