"""RSS and Atom: each entry a section under its title, its words by way of HTML."""

from collections.abc import Iterator
from html import escape
from typing import Final
from xml.etree import ElementTree

from llm_api.core.rag.loaders.archive import local_name
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

Element = ElementTree.Element

_ENTRIES: Final = ("item", "entry")
_ROOTS: Final = ("rss", "feed", "RDF")
_DATES: Final = ("published", "pubDate", "date", "updated")
_AUTHORS: Final = ("author", "creator")
_BODIES: Final = ("encoded", "content", "description", "summary")  # the whole text before a part


def is_feed(root: Element) -> bool:
    return local_name(root) in _ROOTS and next(_entries(root), None) is not None


def load_feed(root: Element, max_characters: int) -> LoadedText:
    builder = TextBuilder(max_characters)
    channel = root if local_name(root) == "feed" else next(iter(root), root)
    title = _words(channel, ("title",))
    warnings: dict[str, None] = {}
    count = 0
    for entry in _entries(root):
        name = _words(entry, ("title",))
        builder.begin_section(tuple(filter(None, (title, name))))
        builder.add("".join(f"{line}\n" for line in _head(entry, name) if line) + "\n")
        body = load_html(_body(entry), max_characters)
        builder.add(f"{body.text}\n\n" if body.text else "")
        warnings.update(dict.fromkeys(body.warnings))
        count += 1
    return builder.build(title, {"records": count}, tuple(warnings))


def _entries(root: Element) -> Iterator[Element]:
    return (one for parent in (root, *root) for one in parent if local_name(one) in _ENTRIES)


def _head(entry: Element, title: str) -> Iterator[str]:
    yield title
    author, date = _words(entry, _AUTHORS), _words(entry, _DATES)
    yield ", ".join(filter(None, (author, date)))
    yield _link(entry)


def _link(entry: Element) -> str:
    links = [one for one in entry if local_name(one) == "link"]
    chosen = next((one for one in links if one.get("rel", "alternate") == "alternate"), None)
    return "" if chosen is None else clean(chosen.get("href") or chosen.text or "").strip()


def _words(element: Element, names: tuple[str, ...]) -> str:
    found = {local_name(child): child for child in reversed(element)}
    chosen = next((found[name] for name in names if name in found), None)
    return "" if chosen is None else clean(" ".join("".join(chosen.itertext()).split()))


def _body(entry: Element) -> str:
    """Markup of the longest text that there is: feeds carry it escaped, Atom also as elements."""
    found = {local_name(child): child for child in reversed(entry)}
    chosen = next((found[name] for name in _BODIES if name in found), None)
    if chosen is None:
        return ""
    if chosen.get("type") == "text":
        return escape(chosen.text or "")
    if not len(chosen):
        return chosen.text or ""
    for element in chosen.iter():
        element.tag = local_name(element)
    return ElementTree.tostring(chosen, "unicode", method="html")
