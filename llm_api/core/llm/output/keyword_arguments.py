"""Arguments as Python's keywords: `city="Paris", days=3`."""

import re
from collections.abc import Mapping
from typing import Final

from llm_api.core.llm.output.arguments import ArgumentReader
from llm_api.core.llm.output.lark import Lark
from llm_api.core.llm.output.schemas.places import mapping_at
from llm_api.core.llm.output.values import to_json, value_json, value_schema
from llm_api.core.llm.types import JSON

_KEYWORD: Final = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(.*)", re.DOTALL)

_PYTHON: Final = {"boolean": '"True" | "False"', "null": '"None"'}
"""Types whose values Python writes in another way than JSON."""


class KeywordArguments:
    """What stands between the brackets of a call in Python."""

    notation = "keyword"
    beginning = ""

    def grammar(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        """In the order of declaration; `name_N` is what may come from parameter N on."""
        required = schema.get("required")
        parameters = list(mapping_at(schema, "properties"))
        first, later = ['""'], '""'
        for number, parameter in reversed(list(enumerate(parameters))):
            value = value_schema(schema, parameter)
            written = _PYTHON.get(str(value.get("type")), lark.json(value))
            keyword = lark.rule(
                f"{name}_{number}", f"{lark.literal(f'{parameter}=')} ({written}) {later}"
            )
            is_required = isinstance(required, list) and parameter in required
            first = [keyword] if is_required else [keyword, *first]
            later = f'(", " {keyword})' if is_required else f'(", " {keyword} | {later})'
        return lark.rule(name, " | ".join(first))

    def reader(self, schema: Mapping[str, JSON]) -> ArgumentReader:
        return _KeywordReader(list(mapping_at(schema, "properties")))

    def write(self, arguments: Mapping[str, JSON]) -> str:
        return ", ".join(f"{name}={_python(value)}" for name, value in arguments.items())


class _KeywordReader:
    """Puts a JSON object together, one argument at a time."""

    def __init__(self, parameters: list[str]) -> None:
        self.is_complete = False
        self._parameters = parameters
        self._count = 0

    def feed(self, text: str) -> tuple[str, int]:
        written, taken = "", 0
        while not self.is_complete:
            end = _argument_end(text, taken)
            if end is None:
                break
            written += self._argument(text[taken:end])
            self.is_complete = text[end] == ")"
            taken = end + (not self.is_complete)
        if self.is_complete:
            written += "}" if self._count else "{}"
        return written, taken

    def flush(self, text: str) -> str:
        return ""

    def _argument(self, text: str) -> str:
        """JSON for one argument; one without its name is the parameter at that position."""
        if not text.strip():
            return ""
        found = _KEYWORD.fullmatch(text)
        unnamed = self._parameters[self._count : self._count + 1] or [f"argument_{self._count}"]
        name, value = found.groups() if found else (*unnamed, text)
        before = ", " if self._count else "{"
        self._count += 1
        return f"{before}{to_json(name)}: {value_json(value)}"


def _argument_end(text: str, start: int) -> int | None:
    """Where the argument that begins at `start` ends: at its comma, or at the closing bracket."""
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if quote:
            position += character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif depth == 0 and character in ",)":
            return position
        else:
            depth += (character in "([{") - (character in ")]}")
        position += 1
    return None


def _python(value: JSON) -> str:
    """A literal as models write it: Python's words, and quotes as in JSON."""
    match value:
        case list():
            return f"[{', '.join(map(_python, value))}]"
        case dict():
            return f"{{{', '.join(f'{_python(key)}: {_python(of)}' for key, of in value.items())}}}"
        case str():
            return to_json(value)
        case _:
            return repr(value)
