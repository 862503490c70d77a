"""PPTX: the slides in their order, each a section under its title, with its tables and notes.

By way of HTML. Covers: titles, text boxes, groups, tables, speaker notes, descriptions of pictures.
Does not cover: charts, SmartArt, what a slide inherits from its master; hidden slides are read.
"""

import re
import zipfile
from collections.abc import Iterator
from html import escape
from posixpath import dirname, join, normpath
from typing import Final
from xml.etree import ElementTree

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.archive import attribute, local_name, markup_of, read_member
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText

Element = ElementTree.Element

_PRESENTATION: Final = "ppt/presentation.xml"
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TITLES: Final = ("title", "ctrTitle")
_PASSING: Final = ("dt", "ftr", "hdr", "sldNum", "sldImg")  # date, footer, number: on every slide
_CONTAINERS: Final = ("spTree", "grpSp", "AlternateContent", "Choice")
_MAX_DEPTH: Final = 50
_NOTES: Final = re.compile(r"/notesSlide$")


def load_pptx(archive: zipfile.ZipFile, max_characters: int) -> LoadedText:
    slides = [_slide(archive, path) for path in _slide_paths(archive)]
    return load_html("".join(slides), max_characters)


def _slide_paths(archive: zipfile.ZipFile) -> Iterator[str]:
    targets = {id: target for id, _, target in _relations(archive, _PRESENTATION)}
    for slide in markup_of(read_member(archive, _PRESENTATION)).iter():
        if local_name(slide) == "sldId" and (path := targets.get(slide.get(_RELATION, ""))):
            yield path


def _relations(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str, str]]:
    """Id, type and path of every part of the archive that this one names."""
    folder = dirname(part)
    name = join(folder, "_rels", f"{part.removeprefix(folder + '/')}.rels")
    if name not in archive.namelist():
        return
    for one in markup_of(read_member(archive, name)):
        if one.get("TargetMode") != "External":
            target = one.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
            yield one.get("Id", ""), one.get("Type", ""), path


def _slide(archive: zipfile.ZipFile, path: str) -> str:
    shapes = list(_shapes(_tree(archive, path)))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    title = " ".join(" ".join(_words(titles[0]).split()) for _ in titles[:1])
    body = [_block(shape) for shape in shapes if shape not in titles[:1]]
    notes = [
        _block(shape)
        for _, type, notes_path in _relations(archive, path)
        if _NOTES.search(type)
        for shape in _shapes(_tree(archive, notes_path))
    ]
    return f"<section><h2>{escape(title)}</h2>{''.join(body)}</section>{''.join(notes)}"


def _tree(archive: zipfile.ZipFile, path: str) -> Element:
    root = markup_of(read_member(archive, path))
    tree = next((one for one in root.iter() if local_name(one) == "spTree"), None)
    if tree is None:
        raise UnreadableFileError(f"it is damaged: {path} has no shapes")
    return tree


def _shapes(container: Element, depth: int = 0) -> Iterator[Element]:
    """Shapes, tables and pictures in the order in which they are drawn; groups are opened."""
    if depth > _MAX_DEPTH:
        raise UnreadableFileError("it nests too deeply")
    for child in container:
        if local_name(child) in _CONTAINERS:
            yield from _shapes(child, depth + 1)
        elif local_name(child) in ("sp", "graphicFrame", "pic") and (
            _placeholder(child) not in _PASSING
        ):
            yield child


def _placeholder(shape: Element) -> str:
    """What the layout means the shape to be; empty where it means nothing."""
    return next((one.get("type", "body") for one in shape.iter() if local_name(one) == "ph"), "")


def _block(shape: Element) -> str:
    if local_name(shape) == "pic":
        described = next(
            (attribute(one, "descr") for one in shape.iter() if local_name(one) == "cNvPr"), ""
        )
        return f'<p><img alt="{escape(described)}"></p>' if described else "<img>"
    rows = [one for one in shape.iter() if local_name(one) == "tr"]
    if rows:
        return f"<table>{''.join(map(_row, rows))}</table>"
    return "".join(f"<p>{escape(words)}</p>" for words in _paragraphs(shape))


def _row(row: Element) -> str:
    cells = [one for one in row if local_name(one) == "tc"]
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: Element) -> str:
    if cell.get("hMerge") or cell.get("vMerge"):
        return ""
    spans = "".join(
        f' {name}="{int(cell.get(key, "1"))}"'
        for key, name in (("gridSpan", "colspan"), ("rowSpan", "rowspan"))
    )
    return f"<td{spans}>{escape(_words(cell))}</td>"


def _words(element: Element) -> str:
    return "\n".join(_paragraphs(element))


def _paragraphs(element: Element) -> Iterator[str]:
    for paragraph in element.iter():
        if local_name(paragraph) == "p":
            words = "".join(_text(one) for one in paragraph.iter())
            if words.strip():
                yield words


def _text(element: Element) -> str:
    match local_name(element):
        case "t":
            return element.text or ""
        case "br":
            return "\n"
        case "tab":
            return "\t"
        case _:
            return ""
