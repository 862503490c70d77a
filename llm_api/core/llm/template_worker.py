"""The process that the chat template of one model runs in, until its socket (stdin) closes.

Messages are a size and then as many bytes. In come the template, then the values of one rendering
after another; out come a mark and a text. What comes back is never unpickled: a template
that has taken this process over can lie about the text, and do no more to the server.

Covers: time, whoever is left to measure it (the kernel ends a process that computes for too long),
memory, output, a crash, and what the environment holds, which this process does not get.
Does not cover: files and network, which are Jinja's sandbox's to refuse.
"""

import json
import marshal
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, BinaryIO, Final, TypeAlias

from jinja2 import Template, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_api.core.llm.template_traits import Fields, find_traits


@dataclass(frozen=True, slots=True)
class Limits:
    """What one template may cost. Loading it compiles it and renders some small conversations.

    `wait_seconds` is for an answer of a process that does not get to compute: it is stopped, or
    the machine is busy.
    """

    load_cpu_seconds: float = 5.0
    render_cpu_seconds: float = 2.0
    wait_seconds: float = 10.0
    memory_bytes: int = 512 << 20
    output_characters: int = 32 << 20


REASON_CHARACTERS: Final = 300

SIZE: Final = struct.Struct(">I")

GIVEN: Final = frozenset({"messages", "add_generation_prompt", "bos_token", "eos_token", "tools"})
"""Variables the server fills in. A request cannot set them."""


class Mark(Enum):
    """What an answer is; the first byte of it."""

    TEXT = b"T"
    REFUSED = b"R"
    """The template called `raise_exception`, with this text."""
    FAILED = b"F"
    """It raised, or is not valid."""
    BROKE_BOUNDS = b"B"
    """It wanted too much; this process is not to be asked again."""


Values: TypeAlias = dict[str, Any]
Now: TypeAlias = tuple[float, float, str]
"""The time, the offset of the server's time zone in seconds, and its name."""

Request: TypeAlias = tuple[str, Values, Now]
"""A template with the values of every rendering, or no source with those of one."""


class LoadedTemplate:
    """A compiled template, and what it can do. `about` is JSON: its variables and traits."""

    def __init__(self, source: str, special: Values, now: Now, limits: Limits) -> None:
        """Raises whatever Jinja does."""
        environment = _environment()
        environment.globals["strftime_now"] = self._strftime_now
        self._limits = limits
        self._now = now
        self._special = special
        self._template: Template = environment.from_string(source)
        undeclared = meta.find_undeclared_variables(environment.parse(source))
        variables = undeclared - GIVEN - environment.globals.keys()
        self.about = json.dumps(
            {"variables": sorted(variables), "traits": asdict(find_traits(self._probe))}
        )

    def render(self, values: Values, now: Now) -> str:
        self._now = now
        text = self._template.render(**values, **self._special, add_generation_prompt=True)
        if len(text) > self._limits.output_characters:
            raise MemoryError
        return text

    def _probe(self, messages: Sequence[Fields], tools: Sequence[Fields]) -> str | None:
        given = {"tools": tools} if tools else {}
        try:
            return self.render({"messages": messages, **given}, self._now)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the template is foreign code: it may raise anything
            return None

    def _strftime_now(self, layout: str) -> str:
        seconds, offset, name = self._now
        zone = timezone(timedelta(seconds=offset), name)
        return datetime.fromtimestamp(seconds, zone).strftime(layout)


def serve(requests: BinaryIO, answers: BinaryIO, limits: Limits) -> None:
    template: LoadedTemplate | None = None
    while header := requests.read(SIZE.size):
        request: Request = marshal.loads(requests.read(*SIZE.unpack(header)))  # noqa: S302 - ours
        source, values, now = request
        try:
            if template is None:
                _end_after(limits.load_cpu_seconds)
                template = LoadedTemplate(source, values, now, limits)
                mark, text = Mark.TEXT, template.about
            else:
                _end_after(limits.render_cpu_seconds)
                mark, text = Mark.TEXT, template.render(values, now)
        except MemoryError:
            mark, text = Mark.BROKE_BOUNDS, "takes more memory than is allowed"
        except _RefusalError as error:
            mark, text = Mark.REFUSED, _reason(error)
        except Exception as error:  # noqa: BLE001 - the template is foreign code: it may raise anything
            mark, text = Mark.FAILED, _reason(error)
        _send(answers, mark, text)
        _end_after(0)


def _send(answers: BinaryIO, mark: Mark, text: str) -> None:
    body = text.encode(errors="surrogatepass")
    answers.write(SIZE.pack(1 + len(body)) + mark.value)
    answers.write(body)
    answers.flush()


def _end_after(cpu_seconds: float) -> None:
    """Have the kernel end this process after so much computing; no code has to run for it."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _reason(error: Exception) -> str:
    """One line of what a template may have filled with anything."""
    words = str(error)[: 4 * REASON_CHARACTERS].split()
    return " ".join(words)[:REASON_CHARACTERS] or type(error).__name__


class _GenerationTag(Extension):
    """`{% generation %}`: templates mark with it what models are trained on. It changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - declared so by Jinja

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _RefusalError(Exception):
    """Raised where the template calls `raise_exception`."""


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as chat templates expect it (the conventions are those of `transformers`)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _GenerationTag],
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.filters["tojson"] = _to_json
    return environment


def _raise_exception(message: object) -> None:
    raise _RefusalError(str(message))


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


def main() -> None:
    limits = Limits(**json.loads(sys.argv[1]))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = (
        limits.memory_bytes if most == resource.RLIM_INFINITY else min(most, limits.memory_bytes)
    )
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=0) as server:
        serve(server.makefile("rb"), server.makefile("wb"), limits)


if __name__ == "__main__":
    main()
