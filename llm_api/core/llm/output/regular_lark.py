"""A grammar in Lark's notation as one regular expression, in the syntax of Rust's `regex`. Pure.

Only what is regular can be: no rule may use itself. So a grammar fits where a regular expression
does, inside a JSON string as well. Refuses what it does not know: templates, `%ignore`, `%extend`,
imports other than those of `common`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from llm_api.core.llm.output.pattern import escape

MAX_CHARACTERS: Final = 64 * 1024
MAX_DEPTH: Final = 100

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\f]+|//[^\n]*)
    |(?P<line>\r?\n)
    |(?P<text>"(?:\\.|[^"\\\n])*"i?)
    |(?P<regex>/(?!/)(?:\\.|[^/\\\n])+/[imslux]*)
    |(?P<import>%import[ \t]+common\.(?P<common>[A-Z_]+)(?:[ \t]*->[ \t]*(?P<known_as>[A-Z_]+))?)
    |(?P<alias>->[ \t]*[a-zA-Z_]\w*)
    |(?P<head>[?!]{0,2}(?P<name>[a-zA-Z_]\w*)(?:\.-?\d+)?[ \t]*:)
    |(?P<reference>[a-zA-Z_]\w*)
    |(?P<range>\.\.)
    |(?P<times>~[ \t]*\d+(?:[ \t]*\.\.[ \t]*\d+)?)
    |(?P<mark>[|()\[\]?*+])""",
    re.VERBOSE,
)

_COMMON: Final[Mapping[str, str]] = {
    "CNAME": r"[a-zA-Z_][a-zA-Z_0-9]*",
    "CR": r"\r",
    "DECIMAL": r"(?:[0-9]+\.[0-9]*|\.[0-9]+)",
    "DIGIT": r"[0-9]",
    "ESCAPED_STRING": r'"(?:[^"\\\n]|\\.)*"',
    "FLOAT": r"(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)",
    "HEXDIGIT": r"[0-9a-fA-F]",
    "INT": r"[0-9]+",
    "LCASE_LETTER": r"[a-z]",
    "LETTER": r"[a-zA-Z]",
    "LF": r"\n",
    "NEWLINE": r"(?:\r?\n)+",
    "NUMBER": r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "SIGNED_INT": r"[+-]?[0-9]+",
    "SIGNED_NUMBER": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "UCASE_LETTER": r"[A-Z]",
    "WORD": r"[a-zA-Z]+",
    "WS": r"[ \t\f\r\n]+",
    "WS_INLINE": r"[ \t]+",
}
"""What can be imported, as Lark's `common.lark` has it."""


class NotRegularError(Exception):
    """A grammar that cannot be one regular expression. `str(error)` says why, as a clause."""


def lark_to_regex(grammar: str) -> str:
    """What the rule `start` matches. Raises NotRegularError."""
    rules = _read(grammar)
    if "start" not in rules:
        raise NotRegularError("it has no rule 'start'")
    return _Writer(rules).written("start", ())


def _read(grammar: str) -> dict[str, list[tuple[str, str]]]:
    """The parts of each rule, each with its kind."""
    rules: dict[str, list[tuple[str, str]]] = {}
    parts: list[tuple[str, str]] = []
    for found in _tokens(grammar):
        match found.lastgroup:
            case "import":
                name = found["common"]
                if name not in _COMMON:
                    raise NotRegularError(f"'common.{name}' is not known here")
                rules[found["known_as"] or name] = [("common", _COMMON[name])]
            case "head":
                parts = rules[found["name"]] = []
            case "space" | "line" | "alias":
                pass
            case kind:
                parts.append((str(kind), found.group()))
    return rules


def _tokens(grammar: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(grammar):
        found = _TOKEN.match(grammar, position)
        if found is None:
            line = grammar.count("\n", 0, position) + 1
            raise NotRegularError(f"line {line} cannot be read")
        yield found
        position = found.end()


class _Writer:
    """Writes rules as regular expressions, each once."""

    def __init__(self, rules: Mapping[str, list[tuple[str, str]]]) -> None:
        self._rules = rules
        self._done: dict[str, str] = {}

    def written(self, name: str, users: tuple[str, ...]) -> str:
        """The rule as a group; `users` are the rules that it is used in."""
        if name in users:
            raise NotRegularError(f"the rule '{name}' uses itself")
        if len(users) > MAX_DEPTH:
            raise NotRegularError("its rules use one another too deeply")
        if name not in self._rules:
            raise NotRegularError(f"there is no rule '{name}'")
        if name not in self._done:
            parts = self._rules[name]
            regex = "".join(
                self._part(kind, text, (*users, name)) for kind, text in _without_ranges(parts)
            )
            if len(regex) > MAX_CHARACTERS:
                raise NotRegularError("it is too large")
            self._done[name] = f"(?:{regex})"
        return self._done[name]

    def _part(self, kind: str, text: str, users: tuple[str, ...]) -> str:
        match kind:
            case "reference":
                return self.written(text, users)
            case "text":
                return _literal(text)
            case "regex":
                body, _, flags = text[1:].rpartition("/")
                kept = flags.replace("u", "").replace("l", "")
                return f"(?{kept}:{body})"
            case "times":
                low, _, high = text[1:].replace(" ", "").partition("..")
                return f"{{{low},{high}}}" if high else f"{{{low}}}"
            case "mark":
                return {"(": "(?:", "[": "(?:", "]": ")?"}.get(text, text)
            case _:
                return text


def _without_ranges(parts: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The parts with `"a".."z"` as a class of characters."""
    position = 0
    while position < len(parts):
        if [kind for kind, _ in parts[position : position + 3]] == ["text", "range", "text"]:
            low, high = (escape(_said(parts[at][1])) for at in (position, position + 2))
            yield "class", f"[{low}-{high}]"
            position += 3
        else:
            yield parts[position]
            position += 1


def _literal(text: str) -> str:
    """A quoted text, verbatim; `i` after it means letters of either case."""
    return f"(?{'i' if text.endswith('i') else ''}:{escape(_said(text))})"


def _said(text: str) -> str:
    try:
        return str(json.loads(text.removesuffix("i"), strict=False))
    except ValueError as error:
        raise NotRegularError(f"{text} cannot be read") from error
