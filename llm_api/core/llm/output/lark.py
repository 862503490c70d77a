"""Writes grammars in llguidance's dialect of Lark."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from llm_api.core.llm.output.pattern import Part, Pattern
from llm_api.core.llm.types import JSON

_COMPACT: Final[Mapping[str, JSON]] = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
"""JSON without room for white space: no model can fill an answer with it."""

_OPTIONS: Final = '%llguidance {"no_forcing": true}'
"""In every grammar of an answer. `TokenMatcher`, which follows it, finds forced text itself."""

ANY_TEXT: Final = "TEXT"
GAP: Final = "GAP"


class Lark:
    """A grammar while it is written.

    A control token cannot be spelled, so a text that holds one is written around its id.
    """

    def __init__(self, control_tokens: Mapping[str, int]) -> None:
        self._control = control_tokens
        ordered = sorted(control_tokens, key=len, reverse=True)
        self._split = re.compile("|".join(f"({re.escape(text)})" for text in ordered) or r"(?!)")
        self._rules = {ANY_TEXT: r"/(.|\n)*/", GAP: r"/[ \t\r\n]{0,8}/"}

    def __str__(self) -> str:
        rules = "".join(f"{name}: {body}\n" for name, body in self._rules.items())
        return f"{_OPTIONS}\n{rules}"

    def forbid(self, *regexes: str) -> None:
        """Any text is from now on any that has none of these in it."""
        self._rules[ANY_TEXT] = _without(r"(.|\n)*", regexes)

    def prose(self, *regexes: str) -> str:
        """A rule for words with none of these in them: not nothing, not bare JSON, not a tag."""
        first = r"\s*([^\s{\[<]|\[+[^\s\[{])(.|\n)*"
        return self.rule("prose", self.rule("PROSE", _without(first, regexes)))

    def rule(self, name: str, body: str) -> str:
        """Add a rule; returns its name."""
        self._rules[name] = body
        return name.partition("[")[0]

    def literal(self, text: str) -> str:
        """An expression for exactly this text."""
        return " ".join(
            f"<[{self._control[part]}]>" if part in self._control else json.dumps(part)
            for part in self.pieces(text)
        )

    def parts(self, parts: tuple[Part, ...]) -> str:
        """An expression for the fixed texts and numbers of a call."""
        return " ".join(
            self.literal(part) if isinstance(part, str) else f"/{Pattern((part,)).regex('')}/"
            for part in parts
        )

    def pieces(self, text: str) -> list[str]:
        """`text`, split into control tokens and what stands between them."""
        found, position = [], 0
        for match in self._split.finditer(text):
            found += [text[position : match.start()], match.group()]
            position = match.end()
        return [piece for piece in (*found, text[position:]) if piece]

    def until(self, name: str, text: str, *, after: str = ANY_TEXT) -> str:
        """A rule for the shortest text in `after` that ends with `text`."""
        first, *rest = self.pieces(text)
        if first in self._control:
            return self.rule(name, f"{after} {self.literal(text)}")
        lazy = self.rule(f"{name}[lazy]", f"{after} {json.dumps(first)}")
        return f"{lazy} {self.literal(''.join(rest))}" if rest else lazy

    def until_regex(self, name: str, regex: str, *, after: str = ANY_TEXT) -> str:
        """As `until`, for what matches `regex`, which does not end with a repetition."""
        return self.rule(f"{name}[lazy]", f"{after} /{regex}/")

    def unlike(self, name: str, *regexes: str) -> str:
        """A rule for the shortest text that matches none of `regexes`."""
        nots = " ".join(f"& ~/{regex}/" for regex in regexes)
        return self.rule(f"{name}[lazy]", self.rule(name.upper(), f"/(.|\\n)+/ {nots}"))

    def json(self, schema: Mapping[str, JSON]) -> str:
        """An expression for one JSON value that is valid for `schema`."""
        return "%json " + json.dumps({**schema, "x-guidance": dict(_COMPACT)})

    def regex(self, pattern: str) -> str:
        """An expression for what matches `pattern`, in the syntax of Rust's `regex`."""
        written = {"/": "\\/", "\n": "\\n", "\\\n": "\\n"}
        found = re.compile(r"\\.|/|\n", re.DOTALL)
        return f"/{found.sub(lambda part: written.get(part.group(), part.group()), pattern)}/"


def _without(regex: str, others: Sequence[str]) -> str:
    """A terminal for what matches `regex`, and in no place one of `others`."""
    unwanted = f" & ~/(.|\\n)*({'|'.join(others)})(.|\\n)*/" if others else ""
    return f"/{regex}/{unwanted}"
