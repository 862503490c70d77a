"""`llm-api embed`: texts to vectors, one JSON line each, without a server."""

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.embeddings.embedder import EmbeddingRequest, InputType

EXAMPLES = """Examples:

- `llm-api embed "The river rose overnight."`

- `llm-api embed --input-type document < passages.txt > vectors.jsonl`

- `EMBEDDING_MODEL_NAME=model.gguf llm-api embed "The river rose overnight."`
"""

TEXTS_AT_ONCE = 256
"""Of standard input: enough for whole batches, and the first vectors come soon."""

TextsArgument = Annotated[
    list[str] | None, typer.Argument(help="Texts; without any, the lines of standard input.")
]
InputTypeOption = Annotated[
    str | None, typer.Option(help="query or document: the model's own prompt for it.")
]
TaskOption = Annotated[str | None, typer.Option(help="A task of the model's own.")]
DimensionsOption = Annotated[int | None, typer.Option(min=1, help="Shorter vectors.")]
TruncateOption = Annotated[bool, typer.Option(help="Cut what is too long.")]


def embed(
    texts: TextsArgument = None,
    input_type: InputTypeOption = None,
    task: TaskOption = None,
    dimensions: DimensionsOption = None,
    truncate: TruncateOption = False,
) -> None:
    """Write the vector of each text as a line of JSON: an array of numbers.

    The model is that of the settings, EMBEDDING_MODEL_NAME first of all. Empty lines of standard
    input are left out.
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.embeddings.embedder import EmbeddingRequest

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    given = texts or (line for line in map(_line, sys.stdin) if line)
    requests = (
        EmbeddingRequest(part, _checked(input_type), task, dimensions, truncate)
        for part in _parts(given)
    )
    asyncio.run(_print_all(requests, load_settings()))


async def _print_all(requests: "Iterable[EmbeddingRequest]", settings: "Settings") -> None:
    from pydantic_core import to_json

    from llm_api.assembly.services import open_embedders
    from llm_api.core.llm.engine.compute_thread import ComputeThread

    async with (
        aclosing(ComputeThread()) as compute,
        open_embedders(settings, compute) as embedders,
    ):
        embedder = embedders.default()
        for request in requests:
            for vector in (await embedder.embed(request)).vectors:
                print(to_json(vector.tolist()).decode(), flush=True)


def _line(line: str) -> str:
    return line.rstrip("\r\n")


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while part := list(islice(rest, TEXTS_AT_ONCE)):
        yield part


def _checked(input_type: str | None) -> "InputType | None":
    match input_type:
        case None | "query" | "document":
            return input_type
        case _:
            raise typer.BadParameter(
                f"must be query or document, not {input_type!r}", param_hint="--input-type"
            )
