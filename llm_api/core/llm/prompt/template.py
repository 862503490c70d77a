"""The chat template a model was trained on, rendered so that no message can forge another.

What it covers: the text of a control token (`<|im_start|>`, `<s>`) inside a message or a template
variable comes out as a literal segment, which is never parsed for control tokens (see
`carrying`). What it does not cover: a template that itself turns harmless text into a
control token, and words that merely persuade the model.
"""

import json
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from llm_api.core.errors import InvalidRequestError, ModelFileError
from llm_api.core.llm.prompt.carrying import Segment
from llm_api.core.llm.prompt.template_process import (
    TemplateBoundsError,
    TemplateFailedError,
    TemplateProcess,
    TemplateRefusedError,
)
from llm_api.core.llm.prompt.template_wire import (
    Loading,
    Rendering,
    TemplateLimits,
    decode_segments,
)
from llm_api.core.llm.types import ChatPrompt

FALLBACK_TEMPLATE: Final = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, for a model whose file has no template."""

LONGEST_SOURCE: Final = 1 << 20
"""Characters of a template. Those of real models have up to 20,000."""


class ChatTemplate:
    """Renders conversations, in a separate process. Thread-safe. Close it."""

    def __init__(
        self,
        source: str,
        *,
        bos_text: str,
        eos_text: str,
        control_texts: frozenset[str],
        limits: TemplateLimits | None = None,
    ) -> None:
        """Compile the template and find out what it can do. Blocks, for seconds at most.

        Raises ModelFileError where it is not valid Jinja or breaks its bounds.
        """
        if len(source) > LONGEST_SOURCE:
            raise _unusable(f"has {len(source):,} characters, of {LONGEST_SOURCE:,} at most")
        special = {"bos_token": bos_text, "eos_token": eos_text}
        loading = partial(_loading, source, special, control_texts)
        self._process = TemplateProcess(loading, limits or TemplateLimits())
        try:
            self.variables = frozenset(map(str, json.loads(self._process.load())))
        except TemplateFailedError as error:
            raise _unusable(f"cannot be used: {error}") from error
        except TemplateBoundsError as error:
            raise _unusable(str(error)) from error

    def render(self, prompt: ChatPrompt) -> list[Segment]:
        """The prompt text up to where the assistant's answer begins. Blocks.

        A variable that the template does not use is not handed to it.
        Raises InvalidRequestError where the template refuses the conversation, or breaks its
        bounds.
        """
        used = {name: prompt.variables[name] for name in prompt.variables.keys() & self.variables}
        prompt = replace(prompt, variables=used)
        try:
            return decode_segments(self._process.render(Rendering(prompt, _now())))
        except TemplateRefusedError as error:
            raise _refused(f"refuses this conversation: {error}") from error
        except TemplateFailedError as error:
            raise _refused(f"cannot render this conversation: {error}") from error
        except TemplateBoundsError as error:
            raise _refused(f"cannot render this conversation: it {error}") from error
        except ValueError as error:
            raise _refused("has taken over the process it runs in") from error

    def close(self) -> None:
        """End a rendering under way; nothing can be rendered any more. Blocks for milliseconds."""
        self._process.close()


def _loading(source: str, special: dict[str, str], control_texts: frozenset[str]) -> Loading:
    return Loading(source, special, control_texts, _now())


def _now() -> datetime:
    return datetime.now().astimezone()


def _unusable(reason: str) -> ModelFileError:
    return ModelFileError(f"The model's chat template {reason}; choose another model.")


def _refused(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"The model's chat template {reason}", param="messages")
