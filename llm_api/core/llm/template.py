"""The chat template a model was trained on, rendered so that no message can forge another.

What it covers: the text of a control token (`<|im_start|>`, `<s>`) inside a message or a template
variable is carried around the template as a placeholder and comes out as a literal segment, which
is never parsed for control tokens. So does the beginning of such a text at the end of a message,
which the next one might complete. What it does not cover: a template that itself turns harmless
text into a control token, and words that merely persuade the model.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import InvalidRequestError, ModelFileError, UnsupportedParameterError
from llm_api.core.llm.output.formats.table import recognise_formats
from llm_api.core.llm.template_process import (
    TemplateBoundsError,
    TemplateFailedError,
    TemplateProcess,
    TemplateRefusedError,
)
from llm_api.core.llm.template_traits import read_traits
from llm_api.core.llm.template_turns import TurnWriter
from llm_api.core.llm.template_worker import Limits
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
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]{{1,9}}){_CLOSE}")

LONGEST_SOURCE: Final = 1 << 20
"""Characters of a template. Those of real models have up to 20,000."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the rendered prompt. In a literal one, control tokens are plain text."""

    text: str
    is_literal: bool


class ChatTemplate:
    """Renders conversations, in a process of its own. Thread-safe. Close it."""

    def __init__(
        self,
        source: str,
        *,
        bos_text: str,
        eos_text: str,
        control_texts: frozenset[str],
        limits: Limits | None = None,
    ) -> None:
        """Compile the template and find out what it can do. Blocks, for seconds at most.

        Raises ModelFileError where it is not valid Jinja or breaks its bounds.
        """
        if len(source) > LONGEST_SOURCE:
            raise ModelFileError(
                f"The model's chat template has {len(source):,} characters, and at most"
                f" {LONGEST_SOURCE:,} are read."
            )
        special = {"bos_token": bos_text, "eos_token": eos_text}
        self._process = TemplateProcess(source, special, limits or Limits())
        try:
            about = json.loads(self._process.load())
        except TemplateFailedError as error:
            raise ModelFileError(f"The model's chat template is not valid: {error}") from error
        except TemplateBoundsError as error:
            raise ModelFileError(f"The model's chat template {error}.") from error
        self.variables = frozenset(about["variables"])
        self.traits = read_traits(about["traits"])
        ordered = sorted(control_texts | {_OPEN}, key=len, reverse=True)
        self._control = re.compile("|".join(re.escape(text) for text in ordered))
        self._beginnings = frozenset(
            text[:length] for text in control_texts for length in range(1, len(text))
        )
        self._call_format = recognise_formats(source)[0]

    def render(self, prompt: ChatPrompt) -> list[Segment]:
        """The prompt text up to where the assistant's answer begins. Blocks.

        Raises UnsupportedParameterError for a variable the template does not use, and
        InvalidRequestError where the template refuses the conversation, or breaks its bounds.
        """
        for name in prompt.variables:
            if name not in self.variables:
                raise UnsupportedParameterError(
                    f"The chat template of this model has no variable '{name}'.", param=name
                )
        carried: list[str] = []
        try:
            text = self._process.render(self._values(prompt, carried))
        except TemplateRefusedError as error:
            raise _refused(f"refuses this conversation: {error}") from error
        except TemplateFailedError as error:
            raise _refused(f"cannot render this conversation: {error}") from error
        except TemplateBoundsError as error:
            raise _refused(f"cannot render this conversation: it {error}") from error
        except RecursionError as error:
            raise _refused("cannot render this conversation: it nests too deeply") from error
        return _segments(text, carried)

    def close(self) -> None:
        """End a rendering under way; nothing can be rendered any more. Blocks for milliseconds."""
        self._process.close()

    def _values(self, prompt: ChatPrompt, carried: list[str]) -> dict[str, JSON]:
        def protect(value: JSON) -> JSON:
            return self._protect(value, carried)

        writer = TurnWriter(self.traits, self._call_format, protect)
        values = {name: protect(value) for name, value in prompt.variables.items()}
        # Templates ask whether `tools` is defined, is none, or is true: so none at all.
        if tools := writer.tools(prompt):
            values["tools"] = tools
        return {**values, "messages": list(writer.messages(prompt))}

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


def _refused(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"The model's chat template {reason}", param="messages")


def _segments(text: str, carried: Sequence[str]) -> list[Segment]:
    """Split the rendered text at its placeholders."""
    segments = []
    for position, part in enumerate(_PLACEHOLDER.split(text)):
        is_literal = position % 2 == 1
        if is_literal and int(part) >= len(carried):
            raise _refused("cannot render this conversation: it changes what users wrote")
        segments.append(Segment(carried[int(part)] if is_literal else part, is_literal))
    return [segment for segment in segments if segment.text]
