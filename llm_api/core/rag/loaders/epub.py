"""EPUB: its chapters in the order in which they are read, each by way of HTML."""

import zipfile
from collections.abc import Iterator
from posixpath import dirname, join, normpath
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.archive import attribute, local_name, markup_of, read_member
from llm_api.core.rag.loaders.decode import decode
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_PAGES: Final = ("application/xhtml+xml", "text/html")
_FONT_ONLY: Final = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def load_epub(archive: zipfile.ZipFile, max_characters: int) -> LoadedText:
    _check_protection(archive)
    package = next(
        (
            attribute(one, "full-path")
            for one in markup_of(read_member(archive, _CONTAINER)).iter()
            if local_name(one) == "rootfile"
        ),
        "",
    )
    root = markup_of(read_member(archive, package))
    builder = TextBuilder(max_characters)
    warnings: dict[str, None] = {}
    for path in _chapters(root, dirname(package)):
        chapter = load_html(decode(read_member(archive, path), "").text, max_characters)
        builder.add_loaded(chapter)
        builder.add("\n\n")
        warnings.update(dict.fromkeys(chapter.warnings))
    title = next((one.text or "" for one in root.iter() if local_name(one) == "title"), "")
    return builder.build(" ".join(title.split()), warnings=tuple(warnings))


def _chapters(package: ElementTree.Element, folder: str) -> Iterator[str]:
    """The pages of the spine, as members of the archive."""
    pages = {
        item.get("id", ""): normpath(join(folder, unquote(item.get("href", ""))))
        for item in package.iter()
        if local_name(item) == "item" and item.get("media-type") in _PAGES
    }
    for reference in package.iter():
        if local_name(reference) == "itemref" and (path := pages.get(reference.get("idref", ""))):
            yield path


def _check_protection(archive: zipfile.ZipFile) -> None:
    """Fonts may be obscured; a book whose chapters are encrypted can be read by no one else."""
    if _ENCRYPTION not in archive.namelist():
        return
    methods = [
        attribute(one, "Algorithm").encode()
        for one in markup_of(read_member(archive, _ENCRYPTION)).iter()
        if local_name(one) == "EncryptionMethod"
    ]
    if not all(method in _FONT_ONLY for method in methods):
        raise UnreadableFileError("it is protected against copying")
