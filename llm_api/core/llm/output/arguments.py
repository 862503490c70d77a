"""What the ways to write a call's arguments have in common."""

from collections.abc import Mapping
from typing import Protocol

from llm_api.core.llm.output.lark import Lark
from llm_api.core.llm.types import JSON


class ArgumentReader(Protocol):
    """Turns the arguments of one call, while they arrive, into the text of a JSON object."""

    @property
    def is_complete(self) -> bool: ...

    def feed(self, text: str) -> tuple[str, int]:
        """More of the JSON text, and how many characters of `text` it was made of.

        What is not taken is handed in again, with more behind it.
        """
        ...

    def flush(self, text: str) -> str:
        """The rest, where the answer was cut and only `text` is left of it."""
        ...


class ArgumentSyntax(Protocol):
    """A way to write arguments."""

    @property
    def notation(self) -> str:
        """A word for it."""
        ...

    @property
    def beginning(self) -> str:
        """The character with which arguments begin, where there is only one."""
        ...

    def grammar(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        """Add the rule `name` for arguments that are valid for `schema`. Returns its name."""
        ...

    def reader(self, schema: Mapping[str, JSON]) -> ArgumentReader: ...

    def write(self, arguments: Mapping[str, JSON]) -> str:
        """Arguments as a model would write them."""
        ...
