"""Arguments as tags, one for each parameter: `<parameter=city>Paris</parameter>`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from llm_api.core.llm.output.arguments import ArgumentReader
from llm_api.core.llm.output.lark import ANY_TEXT, Lark
from llm_api.core.llm.output.marks import Mark, MarkFinder
from llm_api.core.llm.output.pattern import Pattern, skip_gap
from llm_api.core.llm.output.schemas.places import mapping_at
from llm_api.core.llm.output.values import (
    is_plain_text,
    text_choices,
    to_json,
    value_json,
    value_schema,
)
from llm_api.core.llm.types import JSON


@dataclass(frozen=True, slots=True)
class TaggedArguments:
    """`opening` name `naming` value `closing`. Texts are written bare, other values as JSON."""

    opening: str
    naming: str
    closing: str

    @property
    def notation(self) -> str:
        return "tagged"

    @property
    def beginning(self) -> str:
        return self.opening[0]

    def grammar(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        required = schema.get("required")
        written = []
        for number, parameter in enumerate(mapping_at(schema, "properties")):
            head = lark.literal(f"{self.opening}{parameter}{self.naming}")
            value = self._value(lark, f"{name}_{number}", value_schema(schema, parameter))
            is_required = isinstance(required, list) and parameter in required
            written.append(f"{head} {value}" if is_required else f"({head} {value})?")
        return lark.rule(name, " ".join(written) or '""')

    def _value(self, lark: Lark, name: str, schema: Mapping[str, JSON]) -> str:
        """A value with its closing."""
        if is_plain_text(schema):
            return lark.until(name, self.closing, after=ANY_TEXT)
        choices = text_choices(schema)
        value = " | ".join(map(json.dumps, choices)) if choices else lark.json(schema)
        return f"({value}) {lark.literal(self.closing)}"

    def reader(self, schema: Mapping[str, JSON]) -> ArgumentReader:
        return _TagReader(self, schema)

    def write(self, arguments: Mapping[str, JSON]) -> str:
        return "".join(
            f"{self.opening}{name}{self.naming}"
            f"{value if isinstance(value, str) else to_json(value)}{self.closing}"
            for name, value in arguments.items()
        )


class _TagReader:
    """Puts a JSON object together while the tags arrive. Bare texts are passed on at once."""

    def __init__(self, syntax: TaggedArguments, schema: Mapping[str, JSON]) -> None:
        self.is_complete = False
        self._schema = schema
        self._opening = Pattern((syntax.opening,))
        self._naming = MarkFinder([Mark(Pattern((syntax.naming.strip(),)), None)])
        self._closing = MarkFinder([Mark(Pattern((syntax.closing.strip(),)), None)])
        self._last = syntax.closing.strip()[0]
        self._written = ""  # all JSON so far; what was handed out of it is `_given`
        self._given = 0
        self._value = ""
        self._is_text = False
        self._step = self._read_opening

    def feed(self, text: str) -> tuple[str, int]:
        taken = 0
        while not self.is_complete:
            step = self._step
            taken += step(text[taken:])
            if self._step == step:
                break
        return self._give(), taken

    def flush(self, text: str) -> str:
        return self._give()

    def _give(self) -> str:
        given, self._given = self._written[self._given :], len(self._written)
        return given

    def _read_opening(self, text: str) -> int:
        match = self._opening.match(text, skip_gap(text, 0), ())
        if match.is_whole:
            self._written += ", " if self._written else "{"
            self._step = self._read_name
            return match.end
        if not match.is_open:
            self._written += "}" if self._written else "{}"
            self.is_complete = True
        return 0

    def _read_name(self, text: str) -> int:
        found = self._naming.search(text, is_final=False)
        if found.mark is None:
            return 0
        name = text[: found.start].strip()
        schema = value_schema(self._schema, name)
        self._is_text = is_plain_text(schema) or text_choices(schema) is not None
        self._value = ""
        self._written += f"{json.dumps(name, ensure_ascii=False)}: {chr(34) * self._is_text}"
        self._step = self._skip_line_break
        return found.end

    def _skip_line_break(self, text: str) -> int:
        if text:
            self._step = self._read_value
        return int(text[:1] == "\n")

    def _read_value(self, text: str) -> int:
        found = self._closing.search(text, is_final=False)
        end = found.start
        if found.mark is not None:
            end = text.index(self._last, found.start)
        value = text[:end]
        if found.mark is not None:
            value = value.removesuffix("\n")
        if self._is_text:
            self._written += json.dumps(value, ensure_ascii=False)[1:-1]
        else:
            self._value += value
        if found.mark is None:
            return end
        self._written += '"' if self._is_text else value_json(self._value)
        self._step = self._read_opening
        return found.end
