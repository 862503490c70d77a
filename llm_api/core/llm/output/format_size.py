"""How large a demanded format is, a grammar above all: told before any work is spent on it. Pure.

Covers characters, choices and, in a grammar, its rules and its terminals with each name in them
replaced by what it stands for, as a lexer needs them. Linear in the text. Does not cover JSON
Schemas (`schemas/sound`), nor how much a rule can match, which costs nothing until it is matched.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Never, assert_never

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import (
    ChoiceFormat,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    RegexFormat,
)

MAX_CHARACTERS: Final = 64 * 1024
MAX_CHOICES: Final = 1_000
MAX_RULES: Final = 1_000
MAX_EXPANSION: Final = 200_000
"""Symbols of all terminals together, names replaced."""

_TOKEN: Final = re.compile(
    r"""^[ \t]*[?!]?(?P<defined>[A-Za-z_]\w*)(?:\[[^\]\n]*\])?(?:\.-?[0-9]+)?[ \t]*:
    | "(?:\\.|[^"\\\n])*"
    | /(?![/*])(?:\\.|[^/\\\n])+/
    | //[^\n]*
    | (?P<used>\b[A-Z_][A-Z0-9_]*\b)""",
    re.VERBOSE | re.MULTILINE,
)


def check_format_size(output_format: OutputFormat) -> None:
    """Raises InvalidRequestError that names the parameter, for a text that is too long."""
    match output_format:
        case JSONFormat():
            return
        case ChoiceFormat(choices) if len(choices) > MAX_CHOICES:
            _refuse(output_format, f"{len(choices)} choices", f"{MAX_CHOICES} are")
        case ChoiceFormat(choices):
            length = sum(map(len, choices))
        case RegexFormat(text) | GrammarFormat(text):
            length = len(text)
        case other:
            assert_never(other)
    if length > MAX_CHARACTERS:
        _refuse(output_format, f"{length} characters", f"{MAX_CHARACTERS} are")


def _refuse(output_format: OutputFormat, found: str, taken: str) -> Never:
    param = output_format.param
    raise InvalidRequestError(
        f"'{param}' is too large: it has {found}, and at most {taken} taken.", param=param
    )


def size_problem(lark: str) -> str:
    """Why a grammar in Lark's notation is too large; "" where it is not."""
    references = _references(lark)
    if len(references) > MAX_RULES:
        return f"it has {len(references)} rules, and at most {MAX_RULES} are taken"
    sizes: dict[str, int] = {}
    total = 0
    for name in find_terminals(references):
        sizes[name] = 1 + sum(sizes.get(used, 1) for used in references[name])
        total += sizes[name]
        if total > MAX_EXPANSION:
            return f"with '{name}', its terminals written out exceed {MAX_EXPANSION} symbols"
    return ""


def find_terminals(references: Mapping[str, Sequence[str]]) -> list[str]:
    """The names from which no cycle is reached, each after those that it uses.

    `references` maps a name to the names it uses; used names that are no keys are ignored.
    """
    waiting = dict.fromkeys(references, 0)
    users: dict[str, list[str]] = {name: [] for name in references}
    for name, several in references.items():
        for used in filter(users.__contains__, several):
            users[used].append(name)
            waiting[name] += 1
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:
        for user in users[name]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return ready


def _references(lark: str) -> dict[str, list[str]]:
    """The terminals that each rule or terminal uses, by its name."""
    references: dict[str, list[str]] = {}
    uses: list[str] = []
    for found in _TOKEN.finditer(lark):
        if name := found["defined"]:
            uses = references.setdefault(name, [])
        elif name := found["used"]:
            uses.append(name)
    return references
