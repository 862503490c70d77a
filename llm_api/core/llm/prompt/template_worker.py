"""The process that the chat template of one model runs in, until its socket (stdin) closes.

It gets whole prompts, and searches them for control tokens: here that costs the server nothing.

Covers: time (the kernel ends a process that computes for too long), memory, output, a crash, and
the environment, which this process does not get. Does not cover: files and network, which Jinja's
sandbox refuses.
"""

import json
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, Final

from llm_api.core.llm.output.formats import recognise_formats
from llm_api.core.llm.prompt.carrying import Carrier, ControlTexts
from llm_api.core.llm.prompt.template_sandbox import RefusalError, SandboxedTemplate
from llm_api.core.llm.prompt.template_wire import (
    SIZE,
    Loading,
    Rendering,
    RenderOutcome,
    TemplateLimits,
    decode,
    encode_segments,
)
from llm_api.core.llm.prompt.traits import Fields, find_traits
from llm_api.core.llm.prompt.turns import TurnWriter
from llm_api.core.llm.types import JSON, ChatPrompt
from llm_api.core.utils.isolation import limit_memory

_REASON_CHARACTERS: Final = 300

_GIVEN: Final = frozenset({"messages", "add_generation_prompt", "bos_token", "eos_token", "tools"})
"""Variables the server fills in. A request cannot set them."""


class PromptRenderer:
    """Renders prompts with one template, as it can take them."""

    def __init__(self, loading: Loading, limits: TemplateLimits) -> None:
        """Raises what Jinja raises, which can be anything."""
        self._limits = limits
        self._special: dict[str, JSON] = {**loading.special, "add_generation_prompt": True}
        self._template = SandboxedTemplate(loading.source, loading.now)
        self._control = ControlTexts(loading.control_texts)
        self._call_format = recognise_formats(loading.source)[0]
        self._traits = find_traits(self._probe)
        self.variables = self._template.variables - _GIVEN

    def render(self, prompt: ChatPrompt, now: datetime) -> str:
        """The segments of the prompt's text, encoded."""
        self._template.now = now
        carrier = Carrier(self._control)
        writer = TurnWriter(self._traits, self._call_format, carrier.protect)
        values = {name: carrier.protect(value) for name, value in prompt.variables.items()}
        text = self._text(writer.messages(prompt), writer.tools(prompt), values)
        return encode_segments(carrier.segments(text))

    def _text(
        self, messages: Sequence[Fields], tools: Sequence[JSON], variables: Mapping[str, JSON]
    ) -> str:
        # Templates ask whether `tools` is defined, is none, or is true: so none at all.
        given: dict[str, JSON] = {"tools": list(tools)} if tools else {}
        text = self._template.render(
            {**variables, **self._special, **given, "messages": list(messages)}
        )
        if len(text) > self._limits.output_characters:
            raise MemoryError
        return text

    def _probe(self, messages: Sequence[Fields], tools: Sequence[Fields]) -> str | None:
        try:
            return self._text(messages, tools, {})
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the template is foreign code: it may raise anything
            return None


def serve(requests: BinaryIO, answers: BinaryIO, limits: TemplateLimits) -> None:
    worker = _Worker(limits)
    while header := requests.read(SIZE.size):
        mark, text = worker.answer(requests.read(*SIZE.unpack(header)))
        body = text.encode(errors="surrogatepass")
        answers.write(SIZE.pack(1 + len(body)) + mark.value)
        answers.write(body)
        answers.flush()
        _end_after(0)


class _Worker:
    def __init__(self, limits: TemplateLimits) -> None:
        self._limits = limits
        self._renderer: PromptRenderer | None = None

    def answer(self, request: bytes) -> tuple[RenderOutcome, str]:
        """The border to the template: reports every exception of the template, and no other."""
        try:
            return RenderOutcome.DONE, self._done(request)
        except MemoryError:
            return RenderOutcome.BROKE_BOUNDS, "takes more memory than is allowed"
        except RecursionError:
            return RenderOutcome.FAILED, "it nests too deeply"
        except RefusalError as error:
            return RenderOutcome.REFUSED, _reason(error)
        except Exception as error:  # noqa: BLE001 - the template is foreign code: it may raise anything
            return RenderOutcome.FAILED, _reason(error)

    def _done(self, request: bytes) -> str:
        is_first = self._renderer is None
        limits = self._limits
        _end_after(limits.load_cpu_seconds if is_first else limits.render_cpu_seconds)
        match decode(request, is_first=is_first):
            case Loading() as loading:
                self._renderer = PromptRenderer(loading, limits)
                return json.dumps(sorted(self._renderer.variables))
            case Rendering(prompt, now):
                if self._renderer is None:
                    raise ValueError("nothing is loaded")
                return self._renderer.render(prompt, now)


def _end_after(cpu_seconds: float) -> None:
    """Have the kernel end this process after so many seconds of CPU time."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _reason(error: Exception) -> str:
    """A template's message, in one line."""
    words = str(error)[: 4 * _REASON_CHARACTERS].split()
    return " ".join(words)[:_REASON_CHARACTERS] or type(error).__name__


def main() -> None:
    """Take the limits from the command line, bound this process by them, and serve its stdin."""
    limits = TemplateLimits(**json.loads(sys.argv[1]))
    limit_memory(limits.memory_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=0) as server:
        serve(server.makefile("rb"), server.makefile("wb"), limits)


if __name__ == "__main__":
    main()
