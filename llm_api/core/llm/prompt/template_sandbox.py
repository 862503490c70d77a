"""Jinja as chat templates expect it: the conventions are those of `transformers`.

The sandbox keeps a template from the machine. Its process bounds what it may cost.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from jinja2 import meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_api.core.llm.types import JSON


class RefusalError(Exception):
    """Raised where the template calls `raise_exception`."""


class SandboxedTemplate:
    """A compiled template. `variables` are the names it uses that Jinja does not know."""

    def __init__(self, source: str, now: datetime) -> None:
        """Raises whatever Jinja does."""
        environment = _environment()
        environment.globals["strftime_now"] = self._strftime_now
        self.now = now
        self._template = environment.from_string(source)
        undeclared = meta.find_undeclared_variables(environment.parse(source))
        self.variables = undeclared - environment.globals.keys()

    def render(self, values: Mapping[str, JSON]) -> str:
        """Raises RefusalError, or anything else: the template is foreign code."""
        return self._template.render(**values)

    def _strftime_now(self, layout: str) -> str:
        return self.now.strftime(layout)


class _GenerationTag(Extension):
    """`{% generation %}`: templates mark with it what models are trained on. It changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - declared so by Jinja

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _GenerationTag],
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.filters["tojson"] = _to_json
    return environment


def _raise_exception(message: object) -> None:
    raise RefusalError(str(message))


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
