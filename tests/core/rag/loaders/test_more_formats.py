"""Spreadsheets, slides, OpenDocument, books, mail, notebooks and RTF, as text."""

import io
import json
from datetime import date, datetime
from email.message import EmailMessage

import openpyxl  # type: ignore[import-untyped]
import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from tests.core.rag.loaders.files import zipped

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
ODF = "urn:oasis:names:tc:opendocument:xmlns"
NAMES = (
    f'xmlns:office="{ODF}:office:1.0" xmlns:text="{ODF}:text:1.0" xmlns:table="{ODF}:table:1.0"'
    f' xmlns:draw="{ODF}:drawing:1.0" xmlns:svg="{ODF}:svg-compatible:1.0"'
)


def loaded(data: bytes, name: str, **limits: int) -> LoadedText:
    return load(data, name, FileLimits(**limits))


def headed(text: LoadedText) -> list[tuple[tuple[str, ...], str]]:
    """Headings of each section, and the line that it begins with."""
    return [
        (section.headings, text.text[section.start :].split("\n", 1)[0])
        for section in text.sections
    ]


# Spreadsheets


def xlsx(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name.startswith("hidden"):
            sheet.sheet_state = "hidden"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def test_every_row_of_a_sheet_names_its_columns() -> None:
    data = xlsx(
        Stock=[["Part", "Price", "Since"], ["bolt", 5.0, date(2024, 3, 1)], ["nut", 0.25, None]],
        Staff=[["Name", "Seen"], ["Ada", datetime(2024, 1, 2, 9, 30)]],  # noqa: DTZ001
    )
    text = loaded(data, "a.xlsx")
    assert text.text == (
        "Part: bolt\nPrice: 5\nSince: 2024-03-01\n\nPart: nut\nPrice: 0.25\n\n"
        "Name: Ada\nSeen: 2024-01-02 09:30:00\n\n"
    )
    assert headed(text) == [(("Stock",), "Part: bolt"), (("Staff",), "Name: Ada")]
    assert (text.metadata["kind"], text.metadata["rows"]) == ("xlsx", 3)


def test_a_hidden_sheet_is_named_and_not_read() -> None:
    text = loaded(xlsx(Open=[["a"], ["words"]], hidden=[["secret"]]), "a.xlsx")
    assert "secret" not in text.text
    assert text.warnings == ("Hidden sheets, not read: 1.",)


def test_a_sheet_of_more_text_than_is_allowed_is_refused() -> None:
    data = xlsx(S=[["words " * 10] for _ in range(100)])
    with pytest.raises(UnreadableFileError, match="more than 500 characters"):
        loaded(data, "a.xlsx", characters=500)


def test_a_sheet_without_words_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match="no text"):
        loaded(xlsx(S=[[None]]), "a.xlsx")


# Slides


def shape(words: str, placeholder: str = "") -> str:
    kind = f'<p:nvPr><p:ph type="{placeholder}"/></p:nvPr>' if placeholder else ""
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in words.split("|"))
    return f"<p:sp><p:nvSpPr>{kind}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def tree(shapes: str) -> str:
    return f'<p:s xmlns:p="{P}" xmlns:a="{A}"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:s>'


def relations(**targets: str) -> str:
    each = "".join(
        '<Relationship Id="{}" Type="{}/{}" Target="{}"/>'.format(id, R, *target.split())
        for id, target in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}">{each}</Relationships>'


def pptx(first: str, second: str, notes: str = "") -> bytes:
    """The slides lie in the archive in the other order."""
    order = '<p:sldId r:id="r2"/><p:sldId r:id="r1"/>'
    return zipped(
        {
            "[Content_Types].xml": "presentationml.presentation.main+xml",
            "ppt/presentation.xml": f'<p:p xmlns:p="{P}" xmlns:r="{R}">{order}</p:p>',
            "ppt/_rels/presentation.xml.rels": relations(
                r1="slide slides/slide1.xml", r2="slide /ppt/slides/slide2.xml"
            ),
            "ppt/slides/slide1.xml": tree(second),
            "ppt/slides/slide2.xml": tree(first),
            "ppt/slides/_rels/slide2.xml.rels": relations(
                r1="notesSlide ../notesSlides/notesSlide1.xml"
            ),
            "ppt/notesSlides/notesSlide1.xml": tree(notes),
        }
    )


def test_slides_are_sections_in_the_order_in_which_they_are_shown() -> None:
    first = shape("Plans", "title") + shape("Buy bolts|Sell nuts") + shape("7", "sldNum")
    grouped = f"<p:grpSp>{shape('in a group')}</p:grpSp>"
    data = pptx(first, shape("Ends", "ctrTitle") + grouped, shape("say it loud", "body"))
    text = loaded(data, "a.pptx")
    assert headed(text) == [(("Plans",), "Plans"), (("Ends",), "Ends")]
    assert text.text == "Plans\n\nBuy bolts\n\nSell nuts\n\nsay it loud\n\nEnds\n\nin a group"


def test_the_table_of_a_slide_is_one() -> None:
    def cell(words: str, attributes: str = "") -> str:
        return f"<a:tc{attributes}><a:p><a:r><a:t>{words}</a:t></a:r></a:p></a:tc>"

    merged = cell("sold out", ' gridSpan="2"') + cell("", ' hMerge="1"')
    rows = (
        f"<a:tr>{cell('Part')}{cell('Price')}</a:tr><a:tr>{cell('bolt')}{cell('5')}</a:tr>"
        f"<a:tr>{merged}</a:tr>"
    )
    table = f"<p:graphicFrame><a:graphic><a:tbl>{rows}</a:tbl></a:graphic></p:graphicFrame>"
    assert "Part | Price\nbolt | 5\nsold out" in loaded(pptx(table, shape("x")), "a.pptx").text


def test_a_slide_that_is_missing_is_a_damage() -> None:
    data = zipped(
        {
            "[Content_Types].xml": "presentationml.presentation.main+xml",
            "ppt/presentation.xml": f'<p:p xmlns:p="{P}" xmlns:r="{R}"><p:sldId r:id="r1"/></p:p>',
            "ppt/_rels/presentation.xml.rels": relations(r1="slide slides/slide1.xml"),
        }
    )
    with pytest.raises(UnreadableFileError, match=r"slide1\.xml is missing"):
        loaded(data, "a.pptx")


# OpenDocument


def open_document(body: str, kind: str = "text", **members: str) -> bytes:
    content = f"<office:document-content {NAMES}><office:body>{body}</office:body>"
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"{content}</office:document-content>",
            **members,
        }
    )


def test_headings_lists_and_notes_of_an_open_document() -> None:
    data = open_document(
        "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:h text:outline-level="1">Bread</text:h><text:p>Flour<text:s text:c="2"/>and'
        "<text:tab/>water<text:line-break/>salt.</text:p><text:list><text:list-item><text:p>knead"
        '</text:p></text:list-item></text:list><text:h text:outline-level="2">Baking</text:h>'
        "<text:p>Hot<office:annotation><text:p>why?</text:p></office:annotation>.</text:p>"
        "</office:text>"
    )
    text = loaded(data, "a.odt")
    assert headed(text) == [(("Bread",), "Bread"), (("Bread", "Baking"), "Baking")]
    assert text.text == "Bread\n\nFlour and water\nsalt.\n\n- knead\n\nBaking\n\nHot."


def test_a_sheet_of_an_open_document_is_no_larger_than_its_words() -> None:
    def cells(*words: str) -> str:
        return "".join(
            f"<table:table-cell><text:p>{one}</text:p></table:table-cell>" for one in words
        )

    margin = '<table:table-cell table:number-columns-repeated="16000"/>'
    data = open_document(
        '<office:spreadsheet><table:table table:name="Stock"><table:table-column/>'
        f"<table:table-row>{cells('Part', 'Price')}{margin}</table:table-row>"
        f"<table:table-row>{cells('bolt', '5')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1048576">{margin}</table:table-row>'
        "</table:table></office:spreadsheet>",
        "spreadsheet",
    )
    text = loaded(data, "a.ods")
    assert "Part | Price" in text.text
    assert "bolt | 5" in text.text
    assert len(text.text) < 100
    assert text.sections[0].headings == ("Stock",)


def test_a_picture_is_its_description() -> None:
    frame = "<draw:frame>{}<draw:image/></draw:frame>"
    described = frame.format("<svg:desc>a red bolt</svg:desc>")
    body = f"<office:text><text:p>See {described}{frame.format('')}</text:p></office:text>"
    text = loaded(open_document(body), "a.odt")
    assert text.text == "See a red bolt"
    assert text.warnings == ("Pictures without a description, not read: 1.",)


def test_an_encrypted_open_document_is_refused_as_such() -> None:
    data = open_document("", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(UnreadableFileError, match="encrypted"):
        loaded(data, "a.odt")


def test_entities_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    members = {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": bomb}
    with pytest.raises(UnreadableFileError, match="entities"):
        loaded(zipped(members), "a.odt")


# Books


def epub(**members: str) -> bytes:
    pages = "".join(
        f'<item id="{id}" href="text/{id}%20.xhtml" media-type="application/xhtml+xml"/>'
        for id in ("one", "two", "extra")
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<c><rootfile full-path="book/content.opf"/></c>',
            "book/content.opf": '<p xmlns:dc="d"><dc:title>On Bread</dc:title>'
            f'<manifest>{pages}</manifest><spine><itemref idref="two"/><itemref idref="one"/>'
            "</spine></p>",
            "book/text/one .xhtml": "<html><body><h1>End</h1><p>Eat it.</p></body></html>",
            "book/text/two .xhtml": "<html><body><h1>Start</h1><p>Mix it.</p></body></html>",
            "book/text/extra .xhtml": "<html><body><p>cover</p></body></html>",
            **members,
        }
    )


def test_the_chapters_of_a_book_come_in_the_order_of_reading() -> None:
    text = loaded(epub(), "a.epub")
    assert text.text.split() == ["Start", "Mix", "it.", "End", "Eat", "it."]
    assert headed(text) == [(("Start",), "Start"), (("End",), "End")]
    assert text.title == "On Bread"


@pytest.mark.parametrize(
    ("algorithm", "is_read"),
    [
        ("http://www.idpf.org/2008/embedding", True),
        ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", False),
    ],
)
def test_a_protected_book_is_refused_and_one_with_obscured_fonts_read(
    algorithm: str, is_read: bool
) -> None:
    method = f'<e><EncryptionMethod Algorithm="{algorithm}"/></e>'
    data = epub(**{"META-INF/encryption.xml": method})
    if is_read:
        assert "Mix it." in loaded(data, "a.epub").text
    else:
        with pytest.raises(UnreadableFileError, match="protected"):
            loaded(data, "a.epub")


# Mail


def test_a_mail_says_who_wrote_and_what_is_attached() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Zwölf bolts"
    mail["From"] = "Ada <ada@example.com>"
    mail["To"] = "bob@example.com"
    mail.set_content("They cost fünf each.")
    mail.add_alternative("<p>They cost <b>fünf</b> each.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="bill.pdf")
    text = loaded(mail.as_bytes(), "a.eml")
    assert text.text.startswith(
        "Subject: Zwölf bolts\nFrom: Ada <ada@example.com>\nTo: bob@example.com\n\nThey cost fünf"
    )
    assert text.text.count("each.") == 1
    assert text.title == "Zwölf bolts"
    assert text.warnings == ("Attachments, not read: bill.pdf.",)


def test_a_mail_of_html_alone_is_its_words() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Prices"
    mail.set_content("<h1>Prices</h1><p>Bolts: 5</p>", subtype="html")
    text = loaded(mail.as_bytes(), "a.eml")
    assert "Bolts: 5" in text.text
    assert "<p>" not in text.text
    assert headed(text) == [(("Prices",), "Prices")]


# Notebooks, RTF


def test_a_notebook_is_its_words_its_code_and_what_that_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Bolts\n", "We count."]},
        {
            "cell_type": "code",
            "source": "count()",
            "outputs": [
                {"output_type": "stream", "text": ["12\n"]},
                {"output_type": "display_data", "data": {"image/png": "aGk="}},
                {"output_type": "error", "ename": "KeyError", "evalue": "'nut'"},
            ],
        },
    ]
    text = loaded(json.dumps({"cells": cells}).encode(), "a.ipynb")
    assert text.text == (
        "# Bolts\nWe count.\n\n```\ncount()\n```\n\n```\n12\nKeyError: 'nut'\n```\n\n"
    )
    assert headed(text) == [(("Bolts",), "# Bolts")]
    assert text.warnings == ("Pictures and other results that are no text, not read: 1.",)


def test_rtf_is_its_words() -> None:
    data = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Zw\'f6lf \b bolts\b0.\par More.}"
    assert loaded(data, "a.rtf").text == "Zwölf bolts.\nMore."
