"""Jupyter notebooks: words and code as Markdown, with what the code has printed. Version 4."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.json_values import JSON, parse
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder
from llm_api.core.rag.loaders.markdown import load_markdown

_FENCES: Final = re.compile("`{3,}")


def load_notebook(text: str, max_characters: int) -> LoadedText:
    notebook = parse(text)[0]
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UnreadableFileError("it is no notebook of version 4: open and save it anew")
    builder = TextBuilder(max_characters)
    unread = 0
    for cell in cells:
        if isinstance(cell, dict):
            for block in _blocks(cell):
                builder.add(f"{clean(block)}\n\n")
            unread += sum(not _printed(one) for one in _outputs(cell))
    loaded = load_markdown(builder.build().text)
    told = f"Pictures and other results that are no text, not read: {unread:,}."
    return replace(loaded, warnings=(told,) if unread else ())


def _blocks(cell: dict[str, JSON]) -> Iterator[str]:
    source = _joined(cell.get("source"))
    if not source.strip():
        return
    if cell.get("cell_type") != "code":
        yield source
        return
    yield _fenced(source)
    printed = "\n".join(filter(None, (_printed(one).rstrip() for one in _outputs(cell))))
    if printed:
        yield _fenced(printed)


def _outputs(cell: dict[str, JSON]) -> list[dict[str, JSON]]:
    outputs = cell.get("outputs")
    return [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []


def _printed(output: dict[str, JSON]) -> str:
    """The text of a result; of an error its last line."""
    if output.get("output_type") == "error":
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    data = output.get("data")
    return _joined(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else ""))


def _joined(lines: JSON) -> str:
    """A text, which a notebook may hold as a list of its lines."""
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")


def _fenced(text: str) -> str:
    fence = "`" * (1 + max((len(one) for one in _FENCES.findall(text)), default=2))
    return f"{fence}\n{text.rstrip()}\n{fence}"
