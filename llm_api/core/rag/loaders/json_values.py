"""JSON and JSON lines: every value on a separate line, behind the path that leads to it."""

import json
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

_TOO_DEEP: Final = "it nests too deeply"
_BEGINS: Final = re.compile(r"\s*[\[{]")


def looks_like_json(text: str) -> bool:
    """Whether this is a JSON object or list, or lines of them."""
    if not _BEGINS.match(text):
        return False
    try:
        parse(text)
    except UnreadableFileError:
        return False
    return True


def parse(text: str) -> list[JSON]:
    """The file's value; of JSON lines each line's. Raises `UnreadableFileError`."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2 or not _is_whole(lines[0][1]):
            raise UnreadableFileError(f"line {error.lineno} is no JSON: {error.msg}") from error
    except RecursionError as error:
        raise UnreadableFileError(_TOO_DEEP) from error
    return [_parse_line(number, line) for number, line in lines]


def load_json(text: str, max_characters: int) -> LoadedText:
    records = parse(text)
    builder = TextBuilder(max_characters)
    if len(records) == 1 and isinstance(records[0], list):
        records = records[0]
    for record in records:
        for path, value in _leaves(record):
            builder.add(
                clean(f"{path}: {value}\n" if path else f"{value}\n")
            )  # `\\u0000` unescaped
        builder.add("\n")
    return builder.build(metadata={"records": len(records)})


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _parse_line(number: int, line: str) -> JSON:
    try:
        value: JSON = json.loads(line)
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"line {number} is no JSON: {error.msg}") from error
    except RecursionError as error:
        raise UnreadableFileError(_TOO_DEEP) from error
    return value


def _leaves(value: JSON) -> Iterator[tuple[str, str]]:
    """Path and words of every value that is there. No recursion, however deep it nests.

    Paths are made when their turn comes: those of all values may be a thousand times the file.
    """
    levels: list[Iterator[tuple[str, JSON]]] = [iter([("", value)])]
    while levels:
        path, value = next(levels[-1], (None, None))
        if path is None:
            levels.pop()
        elif isinstance(value, dict | list):
            levels.append(_children(path, value))
        elif isinstance(value, str):
            if value:
                yield path, value
        elif value is not None:
            yield path, json.dumps(value)


def _children(path: str, value: dict[str, JSON] | list[JSON]) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, dict):
        return ((f"{path}.{name}" if path else name, child) for name, child in value.items())
    return ((f"{path}[{index}]", child) for index, child in enumerate(value))
