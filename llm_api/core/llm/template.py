"""The chat template a model was trained on, rendered so that no message can forge another.

What it covers: the text of a control token (`<|im_start|>`, `<s>`) inside a message or a template
variable is carried around the template as a placeholder and comes out as a literal segment, which
is never parsed for control tokens. So does the beginning of such a text at the end of a message,
which the next one might complete. What it does not cover: a template that itself turns harmless
text into a control token, and words that merely persuade the model.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jinja2 import TemplateError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_api.core.errors import InvalidRequestError, ModelFileError, UnsupportedParameterError
from llm_api.core.llm.output.formats.table import recognise_formats
from llm_api.core.llm.template_traits import Fields, find_traits
from llm_api.core.llm.template_turns import TurnWriter
from llm_api.core.llm.types import JSON, ChatPrompt

FALLBACK_TEMPLATE: Final = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, for a model whose file has no template."""

# Private-use characters around a number; a message that holds the first one has it carried, too.
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")

_GIVEN = frozenset({"messages", "add_generation_prompt", "bos_token", "eos_token", "tools"})
"""Variables the server fills in. A request cannot set them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the rendered prompt. In a literal one, control tokens are plain text."""

    text: str
    is_literal: bool


class ChatTemplate:
    """Renders conversations. Thread-safe: it keeps nothing between calls."""

    def __init__(
        self, source: str, *, bos_text: str, eos_text: str, control_texts: frozenset[str]
    ) -> None:
        """Compile the template and find out what it can do.

        Raises ModelFileError where it is not valid Jinja.
        """
        environment = _environment()
        try:
            self._template = environment.from_string(source)
            undeclared = meta.find_undeclared_variables(environment.parse(source))
        except TemplateError as error:
            raise ModelFileError(f"The model's chat template is not valid: {error}") from error
        self.variables = frozenset(undeclared) - _GIVEN - environment.globals.keys()
        self._special = {"bos_token": bos_text, "eos_token": eos_text}
        ordered = sorted(control_texts | {_OPEN}, key=len, reverse=True)
        self._control = re.compile("|".join(re.escape(text) for text in ordered))
        self._beginnings = frozenset(
            text[:length] for text in control_texts for length in range(1, len(text))
        )
        self._call_format = recognise_formats(source)[0]
        self.traits = find_traits(self._probe)

    def render(self, prompt: ChatPrompt) -> list[Segment]:
        """The prompt text up to where the assistant's answer begins. Pure.

        Raises UnsupportedParameterError for a variable the template does not use, and
        InvalidRequestError where the template refuses the conversation.
        """
        for name in prompt.variables:
            if name not in self.variables:
                raise UnsupportedParameterError(
                    f"The chat template of this model has no variable '{name}'.", param=name
                )
        carried: list[str] = []
        values = {name: self._protect(value, carried) for name, value in prompt.variables.items()}
        writer = TurnWriter(
            self.traits, self._call_format, lambda value: self._protect(value, carried)
        )
        try:
            text = self._text(writer.messages(prompt), writer.tools(prompt), values)
        except _TemplateRefusalError as error:
            raise InvalidRequestError(
                f"The model's chat template refuses this conversation: {error}", param="messages"
            ) from error
        except Exception as error:  # the template is foreign code: it may raise anything
            raise InvalidRequestError(
                f"The model's chat template cannot render this conversation: {error}",
                param="messages",
            ) from error
        return _segments(text, carried)

    def _text(
        self,
        messages: Sequence[Fields],
        tools: Sequence[JSON],
        variables: Mapping[str, JSON],
    ) -> str:
        # Templates ask whether `tools` is defined, is none, or is true: so none at all.
        given = {"tools": tools} if tools else {}
        return self._template.render(
            **variables, **self._special, **given, messages=messages, add_generation_prompt=True
        )

    def _probe(self, messages: Sequence[Fields], tools: Sequence[Fields]) -> str | None:
        try:
            return self._text(messages, tools, {})
        except Exception:  # noqa: BLE001 - the template is foreign code: it may raise anything
            return None

    def _protect(self, value: JSON, carried: list[str]) -> JSON:
        match value:
            case str():
                return self._protect_text(value, carried)
            case list():
                return [self._protect(item, carried) for item in value]
            case dict():
                return {
                    self._protect_text(name, carried): self._protect(item, carried)
                    for name, item in value.items()
                }
            case _:
                return value

    def _protect_text(self, text: str, carried: list[str]) -> str:
        def carry(literal: str) -> str:
            carried.append(literal)
            return f"{_OPEN}{len(carried) - 1}{_CLOSE}"

        text = self._control.sub(lambda found: carry(found.group()), text)
        longest = max(map(len, self._beginnings), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return text[:-length] + carry(text[-length:])
        return text


class _GenerationTag(Extension):
    """`{% generation %}`: templates mark with it what models are trained on. It changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - declared so by Jinja

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _TemplateRefusalError(Exception):
    """Raised where the template calls `raise_exception`."""


def _segments(text: str, carried: Sequence[str]) -> list[Segment]:
    """Split the rendered text at its placeholders."""
    segments = []
    for position, part in enumerate(_PLACEHOLDER.split(text)):
        is_literal = position % 2 == 1
        segments.append(Segment(carried[int(part)] if is_literal else part, is_literal))
    return [segment for segment in segments if segment.text]


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as chat templates expect it (the conventions are those of `transformers`)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _GenerationTag],
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.filters["tojson"] = _to_json
    return environment


def _raise_exception(message: object) -> None:
    raise _TemplateRefusalError(str(message))


def _strftime_now(layout: str) -> str:
    return datetime.now().astimezone().strftime(layout)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON that keeps every character, since placeholders are made of unusual ones."""
    return json.dumps(
        value,
        ensure_ascii=False,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_list_of,
    )


def _list_of(value: object) -> list[object]:
    """What filters like `map` give is written as a list."""
    if isinstance(value, Iterator):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
