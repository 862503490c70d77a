"""`llm-api functions`: see and run the functions that the settings choose, without a server."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import fail, note, print_json, print_table, say

if TYPE_CHECKING:
    from pydantic import JsonValue

    from llm_api.core.functions.catalog import FunctionCatalog
    from llm_api.core.functions.runner import Functions
    from llm_api.core.functions.types import Function, FunctionResult

    _Opened: TypeAlias = AbstractAsyncContextManager[Functions]


def list_functions(as_json: JSONOption = False) -> None:
    """Show the functions: built in, from `FUNCTIONS_DIR`, from packages, from MCP servers.

    What could not be loaded is told on stderr.

    Example: `FUNCTIONS_DIR=my_functions llm-api functions list`
    """
    catalog = asyncio.run(_catalog(_opened()))
    if as_json:
        print_json([_facts(function) for function in catalog.functions()])
    else:
        rows = (
            (
                function.spec.name,
                _parameters(function.spec.parameters),
                function.origin.name,
                function.spec.description.partition("\n")[0],
            )
            for function in catalog.functions()
        )
        print_table(("name", "parameters", "from", "what it does"), rows)
    for problem in catalog.problems():
        note(f"Not loaded: {problem}")


def show(
    name: Annotated[str, typer.Argument(help="The name that `functions list` shows.")],
    as_json: JSONOption = False,
) -> None:
    """Show a function: what a model is told of it.

    Example: `llm-api functions show get_weekday`
    """
    facts = _facts(asyncio.run(_catalog(_opened())).get(name))
    if as_json:
        print_json(facts)
        return
    for field, value in facts.items():
        say(f"{field}: {value if isinstance(value, str) else json.dumps(value, indent=2)}")


def _facts(function: "Function") -> dict[str, object]:
    spec = function.spec
    return {
        "name": spec.name,
        "from": function.origin.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }


def call(
    name: Annotated[str, typer.Argument(help="The name that `functions list` shows.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="One JSON object, or key=value for each argument.")
    ] = None,
) -> None:
    """Run a function, and print its result as JSON. Exit code 2: the arguments do not fit.

    In key=value, a value is text that is read as the parameter's type; one that begins with
    `[`, `{` or `"`, and `null`, is JSON.

    Example: `llm-api functions call add_to_date date=2026-01-31 months=1`

    Example: `llm-api functions call get_weather '{"location": "Paris, Texas"}'`
    """
    from llm_api.core.errors import InvalidArgumentsError

    result = asyncio.run(_run(_opened(), name, _read(arguments or [])))
    if result.error is not None:
        fail(result.error.message)
        sys.exit(2 if isinstance(result.error, InvalidArgumentsError) else 1)
    print_json(json.loads(result.content))


async def _catalog(opened: "_Opened") -> "FunctionCatalog":
    async with opened as functions:
        return functions.catalog


async def _run(
    opened: "_Opened", name: str, arguments: "str | dict[str, JsonValue]"
) -> "FunctionResult":
    async with opened as functions:
        return await functions.runner.run(functions.catalog.get(name), arguments)


def _opened() -> "_Opened":
    """Reads the settings outside of the event loop, where Ctrl-C ends it at once."""
    from llm_api.assembly.functions import function_options, open_functions
    from llm_api.config.config_file import configuration_of
    from llm_api.config.settings import load_settings

    settings = load_settings()
    return open_functions(function_options(settings, configuration_of(settings)))


def _read(arguments: list[str]) -> "str | dict[str, JsonValue]":
    """A JSON object as it is, or what the pairs say. Pure. Raises BadParameter."""
    if len(arguments) == 1 and arguments[0].lstrip().startswith("{"):
        return arguments[0]
    pairs = [argument.partition("=") for argument in arguments]
    for key, separator, _ in pairs:
        if not key or not separator:
            raise typer.BadParameter(f"{key!r} is neither key=value nor one JSON object.")
    return {key: _value(key, text) for key, _, text in pairs}


def _value(key: str, text: str) -> "JsonValue":
    if text != "null" and not text.startswith(("[", "{", '"')):
        return text
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"the value of {key} is no valid JSON: {error}") from error
    return value


def _parameters(schema: Mapping[str, "JsonValue"]) -> str:
    """The parameters' names; those that may be left out in brackets. Pure."""
    properties, required = schema.get("properties"), schema.get("required")
    names = properties if isinstance(properties, dict) else {}
    needed = required if isinstance(required, list) else []
    return " ".join(name if name in needed else f"[{name}]" for name in names)
