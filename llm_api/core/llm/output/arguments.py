"""How a call's arguments are written: what every notation answers, and JSON, that of most formats.

The others are `tagged_arguments` and `keyword_arguments`.
"""

import json
from collections.abc import Mapping
from typing import Final, Protocol

from llm_api.core.llm.output.lark import Lark
from llm_api.core.llm.types import JSON


class ArgumentReader(Protocol):
    """Turns the arguments of one call, while they arrive, into the text of a JSON object."""

    @property
    def is_complete(self) -> bool:
        """Whether the end of the arguments has been read; nothing is taken after it."""
        ...

    def feed(self, text: str) -> tuple[str, int]:
        """More of the JSON text, and how many characters of `text` it was made of.

        The caller hands in the rest again, with more behind it.
        """
        ...

    def flush(self, text: str) -> str:
        """The rest, where the answer was cut and only `text` is left of it."""
        ...


class ArgumentSyntax(Protocol):
    """A notation of arguments. Immutable: one serves every answer."""

    @property
    def notation(self) -> str:
        """Its name, with which the names of its grammar rules begin."""
        ...

    @property
    def beginning(self) -> str:
        """The character with which arguments begin, where there is only one."""
        ...

    def grammar(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        """Add the rule `name` for arguments that are valid for `schema`. Returns its name."""
        ...

    def reader(self, schema: Mapping[str, JSON]) -> ArgumentReader:
        """A reader for the arguments of one call. `schema` decides which values are bare text."""
        ...

    def write(self, arguments: Mapping[str, JSON]) -> str:
        """Arguments as a model would write them."""
        ...


_ESCAPES: Final = frozenset('"\\/bfnrtu')


class JSONArguments:
    """Arguments as a JSON object: passed on as they arrive."""

    notation = "json"
    beginning = "{"

    def grammar(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        return lark.rule(name, lark.json(schema))

    def reader(self, schema: Mapping[str, JSON]) -> ArgumentReader:
        return JSONObjectReader()

    def write(self, arguments: Mapping[str, JSON]) -> str:
        return json.dumps(arguments, ensure_ascii=False)


class JSONObjectReader:
    """Finds the end of a JSON object, by its brackets.

    Repairs what models get wrong in strings: raw line breaks, and escapes that JSON has not.
    Anything else that is wrong is passed on.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def feed(self, text: str) -> tuple[str, int]:
        written: list[str] = []
        for position, character in enumerate(text):
            if self._in_string:
                written.append(self._within_string(character))
            elif self._depth or not character.isspace():
                written.append(character)
                self._structure(character)
            if self.is_complete:
                return "".join(written), position + 1
        return "".join(written), len(text)

    def flush(self, text: str) -> str:
        return ""

    def _within_string(self, character: str) -> str:
        if self._is_escaped:
            self._is_escaped = False
            return character if character in _ESCAPES else "\\" + character
        if character == '"':
            self._in_string = False
        self._is_escaped = character == "\\"
        return json.dumps(character)[1:-1] if character < " " else character

    def _structure(self, character: str) -> None:
        self._in_string = character == '"'
        if character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self.is_complete = self._depth <= 0
