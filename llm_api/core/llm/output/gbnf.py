"""Grammars in llama.cpp's notation (GBNF) as llguidance's dialect of Lark. Pure; takes linear time.

Token by token: but for names, texts and classes the two notations are the same. A rule made of
nothing but texts and classes becomes a terminal, which is matched many times faster.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from llm_api.core.llm.output.format_size import find_terminals
from llm_api.core.llm.output.pattern import escape

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t]+|\#[^\r\n]*)
    | (?P<line>\r?\n|\r)
    | (?P<defines>::=)
    | (?P<text>"(?:\\.|[^"\\])*")
    | (?P<chars>\[\^?(?:\\.|[^\]\\])*\])
    | (?P<name>[A-Za-z0-9_-]+)
    | (?P<repeat>[*+?]|\{\s*[0-9]{1,6}\s*(?:,\s*(?:[0-9]{1,6}\s*)?)?\})
    | (?P<any>\.)
    | (?P<or>\|)
    | (?P<opens>\()
    | (?P<closes>\))""",
    re.VERBOSE | re.DOTALL,
)
_IS_LARK: Final = re.compile(
    r"^[ \t]*(?:%llguidance\b|start[ \t]*(?:\[[^\]\n]*\])?[ \t]*:(?!:=))", re.MULTILINE
)
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL
)
_CHARACTER: Final = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", **{same: same for same in '"\\[]^-'}}


class GBNFError(Exception):
    """What is wrong, and in which line."""


@dataclass(slots=True)
class _Rule:
    """`parts` are Lark, but for names: those are tuples of the name and its line."""

    parts: list[str | tuple[str, int]] = field(default_factory=list)

    def references(self) -> Iterator[tuple[str, int]]:
        return (part for part in self.parts if isinstance(part, tuple))


def is_lark(grammar: str) -> bool:
    """Whether a grammar is in Lark's notation already."""
    return _IS_LARK.search(grammar) is not None


def gbnf_to_lark(grammar: str) -> str:
    """The same grammar in Lark's notation. Raises GBNFError."""
    rules = _Reader().read(grammar)
    if "root" not in rules:
        raise GBNFError("there is no rule 'root'")
    for rule in rules.values():
        for name, line in rule.references():
            if name not in rules:
                raise GBNFError(f"line {line}: there is no rule '{name}'")
    names = _lark_names(rules)
    return "".join(f"{names[name]}: {_written(rule, names)}\n" for name, rule in rules.items())


def _written(rule: _Rule, names: Mapping[str, str]) -> str:
    return " ".join(part if isinstance(part, str) else names[part[0]] for part in rule.parts)


def _lark_names(rules: Mapping[str, _Rule]) -> dict[str, str]:
    """Names in capitals for terminals, in small letters for the others; `start` for `root`."""
    uses = {name: [used for used, _ in rule.references()] for name, rule in rules.items()}
    terminals = set(find_terminals({**uses, "root": ["root"]}))
    names = {"root": "start"}
    taken = {"start"}
    for number, name in enumerate(rules):
        if name == "root":
            continue
        plain = re.sub(r"[^a-z0-9_]", "_", name.lower())
        plain = plain if plain[0].isalpha() else f"r_{plain}"
        plain = f"{plain}_{number}" if plain in taken else plain
        taken.add(plain)
        names[name] = plain.upper() if name in terminals else plain
    return names


def _counted(repeat: str) -> str:
    """A repetition, `{4}` as `{4,4}`."""
    count = "".join(repeat.split())
    return count if "," in count or count[0] != "{" else f"{count[:-1]},{count[1:]}"


class _Reader:
    """Reads rules, one token after the other.

    A rule ends with its line, unless a bracket is open, or nothing follows `::=` or `|` yet.
    """

    def __init__(self) -> None:
        self._rules: dict[str, _Rule] = {}
        self._rule: _Rule | None = None
        self._name: str | None = None  # of a rule that begins: `::=` must follow
        self._depth = 0
        self._is_open = False  # more must come in this alternative
        self._may_repeat = False
        self._line = 1

    def read(self, grammar: str) -> dict[str, _Rule]:
        position = 0
        while position < len(grammar):
            found = _TOKEN.match(grammar, position)
            if found is None:
                raise self._error(f"{grammar[position : position + 20]!r} is not understood")
            self._take(str(found.lastgroup), found.group())
            self._line += found.group().count("\n")
            position = found.end()
        self._end_line(is_last=True)
        return self._rules

    def _take(self, kind: str, text: str) -> None:
        if kind == "space":
            return
        if kind == "line":
            self._end_line()
        elif self._rule is None:
            self._begin(kind, text)
        else:
            self._go_on(self._rule, kind, text)

    def _begin(self, kind: str, text: str) -> None:
        if kind == "name" and self._name is None:
            self._name = text
        elif kind == "defines" and self._name is not None:
            self._rule = self._rules[self._name] = _Rule()
            self._name, self._is_open, self._may_repeat = None, True, False
        else:
            raise self._error(f"a rule, 'name ::= ...', is expected before {text[:20]!r}")

    def _go_on(self, rule: _Rule, kind: str, text: str) -> None:
        parts = rule.parts
        if kind == "repeat":
            if not self._may_repeat:
                raise self._error(f"there is nothing before {text!r} to repeat")
            parts.append(_counted(text))
            self._may_repeat = False
            return
        if kind == "defines":
            raise self._error("'::=' stands within a rule")
        if kind in ("or", "closes") and self._is_open:
            parts.append('""')
        if kind == "closes":
            if not self._depth:
                raise self._error("')' closes no bracket")
            self._depth -= 1
        self._depth += kind == "opens"
        self._is_open = kind in ("or", "opens")
        self._may_repeat = not self._is_open
        parts.append(self._part(kind, text))

    def _part(self, kind: str, text: str) -> str | tuple[str, int]:
        match kind:
            case "name":
                return text, self._line
            case "text":
                return json.dumps(self._decoded(text[1:-1]))
            case "chars":
                return f"/{self._class(text[1:-1])}/"
            case "any":
                return r"/(.|\n)/"
            case _:
                return text

    def _end_line(self, *, is_last: bool = False) -> None:
        if is_last and self._depth:
            raise self._error("a bracket is not closed")
        if self._name is not None:
            raise self._error(f"'::=' is expected behind '{self._name}'")
        if self._rule is None or self._depth or (self._is_open and not is_last):
            return
        if self._is_open:
            self._rule.parts.append('""')
        self._rule = None
        self._is_open = False

    def _class(self, text: str) -> str:
        is_negated = text.startswith("^")
        characters = [
            (found.group(), self._decoded(found.group()))
            for found in _CHARACTER.finditer(text[is_negated:])
        ]
        written = [
            "-" if raw == "-" and 0 < number < len(characters) - 1 else escape(character)
            for number, (raw, character) in enumerate(characters)
        ]
        return f"[{'^' * is_negated}{''.join(written)}]"

    def _decoded(self, text: str) -> str:
        return _ESCAPE.sub(self._character, text)

    def _character(self, found: re.Match[str]) -> str:
        code = next(filter(None, found.groups()[:3]), None)
        if code is None and (character := _ESCAPED.get(found.group(4))) is not None:
            return character
        if code is None or int(code, 16) > 0x10FFFF:
            raise self._error(f"the escape {found.group()!r} is not known")
        return chr(int(code, 16))

    def _error(self, reason: str) -> GBNFError:
        return GBNFError(f"line {self._line}: {reason}")
