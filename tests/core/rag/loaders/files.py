"""Small files of binary kinds, made by hand: whole ones and broken ones."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org"
CONTENT_TYPES = f"""<?xml version="1.0"?>
<Types xmlns="{OFFICE}/package/2006/content-types">
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType=
"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
RELATIONS = f"""<?xml version="1.0"?>
<Relationships xmlns="{OFFICE}/package/2006/relationships"><Relationship Id="r1"
Type="{OFFICE}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>
</Relationships>"""
STYLES = f"""<?xml version="1.0"?><w:styles xmlns:w="{WORD}">
<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/></w:style></w:styles>"""


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, **parts: bytes) -> bytes:
    document = f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body>{body}</w:body>'
    return zipped(
        {
            "[Content_Types].xml": CONTENT_TYPES,
            "_rels/.rels": RELATIONS,
            "word/document.xml": f"{document}</w:document>",
            "word/styles.xml": STYLES,
            **parts,
        }
    )


def pdf(
    pages: Sequence[str],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
    trailer: str = "",
) -> bytes:
    """Pages of lines, and an outline of one level: title, page index."""
    first_page, first_mark = 5, 5 + 2 * len(pages)
    kids = " ".join(f"{first_page + 2 * index} 0 R" for index in range(len(pages)))
    last_mark = first_mark + len(outline) - 1
    outlines = f"/First {first_mark} 0 R /Last {last_mark} 0 R" if outline else ""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Type /Outlines /Count {len(outline)} {outlines} >>",
    ]
    for index, text in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n"))
        content = zlib.compress(f"BT /F1 12 Tf 72 700 Td {lines}ET".encode()) if text else b""
        page_object = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources"
            f" << /Font << /F1 3 0 R >> >> /Contents {first_page + 2 * index + 1} 0 R >>"
        )
        head = f"<< /Length {len(content)} {'/Filter /FlateDecode ' if text else ''}>>"
        objects += [page_object, f"{head}\nstream\n{content.decode('latin-1')}\nendstream"]
    for index, (name, page) in enumerate(outline):
        after = f"/Next {first_mark + index + 1} 0 R" if index + 1 < len(outline) else ""
        target = f"[{first_page + 2 * page} 0 R /XYZ 0 0 0]"
        objects.append(f"<< /Title ({name}) /Parent 4 0 R /Dest {target} {after} >>")
    objects.append(f"<< /Title ({title}) >>")
    return _pdf_file(objects, f"/Root 1 0 R /Info {len(objects)} 0 R {trailer}")


def drawn_pdf(
    content: str, *, page: str = "", catalog: str = "", objects: Sequence[str] = ()
) -> bytes:
    """One page with this content; `objects` are numbered from 6."""
    page += " /Resources << /Font << /F1 3 0 R >> >>"
    return _pdf_file(
        [
            f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
            "<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R {page} >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
            *objects,
        ],
        "/Root 1 0 R",
    )


def encrypted_pdf() -> bytes:
    """A PDF whose keys fit no password that is empty."""
    key = "00" * 32
    lock = f"<< /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>"
    return pdf(["secret"], trailer=f"/Encrypt {lock} /ID [<00><00>]")


def _pdf_file(objects: Sequence[str], trailer: str) -> bytes:
    parts, offsets = [b"%PDF-1.7\n"], []
    for number, body in enumerate(objects, 1):
        offsets.append(sum(map(len, parts)))
        parts.append(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    parts.append(
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} {trailer} >>\n"
        f"startxref\n{sum(map(len, parts))}\n%%EOF\n".encode()
    )
    return b"".join(parts)
