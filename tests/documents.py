"""The documents as tests read them: pages, sections, blocks between markers, examples, links."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

README = (ROOT / "README.md").read_text(encoding="utf-8")

DOCS = [
    ROOT / path for path in re.findall(r"^\| \[[\w ]+\]\((docs/.+?\.md)\) \|", README, re.MULTILINE)
]
"""The pages under docs/, in the order of the README's table."""

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCS}
"""Their texts, by path."""

TEXT = "\n".join([README, *PAGES.values()])
"""README and pages together."""


def section(title: str) -> str:
    """What stands below the heading of that title, at any depth, up to the next of its depth."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"no page has a section {title!r}"
    return found.group(2)


def block(name: str) -> str:
    """What stands between the markers of that name."""
    [found] = re.findall(f"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", TEXT, re.DOTALL)
    return str(found)


def fenced(text: str, *kinds: str) -> list[tuple[str, str]]:
    """Kind and text of each fenced example of these kinds, in order."""
    return re.findall(rf"^```({'|'.join(kinds)})\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def links(text: str) -> Iterator[str]:
    """The targets of Markdown links, pictures included."""
    plain = re.sub(r"`[^`\n]*`(?!\])", "", without_fences(text))
    yield from re.findall(r"\]\(([^)\s]+)\)", plain)


def anchors(text: str) -> set[str]:
    """What GitHub makes of each heading, to be linked to."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", without_fences(text), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.+?)\]\(.+?\)", r"\1", title).lower())
        anchor = words.strip().replace(" ", "-")
        number = 0
        while (one := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(one)
    return found
