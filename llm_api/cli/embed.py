"""`llm-api embed`: texts to vectors, one JSON line each, by the running server or without one."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from llm_api.cli.options import KeyOption, URLOption
from llm_api.cli.terminal import note

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.embeddings.embedder import InputType

EXAMPLES = """Examples:

- `llm-api embed "The river rose overnight."`

- `llm-api embed --input-type document < passages.txt > vectors.jsonl`

- `EMBEDDING_MODEL_NAME=model.gguf llm-api embed --local "The river rose overnight."`
"""

TEXTS_AT_ONCE = 256
"""Of standard input: enough for whole batches, and the first vectors come soon."""

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Any]]]

TextsArgument = Annotated[
    list[str] | None, typer.Argument(help="Texts; without any, the lines of standard input.")
]
InputTypeOption = Annotated[
    str | None, typer.Option(help="query or document: the model's own prompt for it.")
]
ModelOption = Annotated[str | None, typer.Option(help="An embedding model of the server.")]
TaskOption = Annotated[str | None, typer.Option(help="A task of the model's own.")]
DimensionsOption = Annotated[int | None, typer.Option(min=1, help="Shorter vectors.")]
TruncateOption = Annotated[bool, typer.Option(help="Cut what is too long.")]
HereOption = Annotated[bool, typer.Option("--local", help="Load the model here; no server.")]


@dataclass(frozen=True, slots=True)
class _How:
    """How texts are to be embedded."""

    input_type: "InputType | None"
    task: str | None
    dimensions: int | None
    truncate: bool


def embed(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    texts: TextsArgument = None,
    input_type: InputTypeOption = None,
    model: ModelOption = None,
    task: TaskOption = None,
    dimensions: DimensionsOption = None,
    truncate: TruncateOption = False,
    url: URLOption = None,
    api_key: KeyOption = None,
    local: HereOption = False,
) -> None:
    """Write the vector of each text as a line of JSON: an array of numbers.

    The running server computes them. Where none answers, or with --local, the model of the
    settings is loaded here: EMBEDDING_MODEL_NAME first of all. Empty lines of standard input are
    left out.
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.errors import InvalidRequestError

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    how = _How(_checked(input_type), task, dimensions, truncate)
    if texts and not all(text.strip() for text in texts):
        raise InvalidRequestError("An empty text has no vector.")
    given = texts or (line for line in map(_line, sys.stdin) if line.strip())
    settings = load_settings()
    asyncio.run(_print_all(_parts(given), settings, how, _Server(url, api_key, model, local)))


@dataclass(frozen=True, slots=True)
class _Server:
    """The server that is meant, and which of its models."""

    url: str | None
    api_key: str | None
    model: str | None
    is_unwanted: bool


async def _print_all(
    parts: Iterable[Sequence[str]], settings: "Settings", how: _How, server: _Server
) -> None:
    from pydantic_core import to_json

    async with _opened(settings, how, server) as embed_texts:
        for part in parts:
            for vector in await embed_texts(part):
                print(to_json(vector).decode(), flush=True)


@asynccontextmanager
async def _opened(settings: "Settings", how: _How, server: _Server) -> AsyncGenerator[Embed, None]:
    """The server where one answers, or was named; else the model of the settings, here."""
    from llm_api.cli.remote_server import open_server
    from llm_api.core.errors import UnavailableError

    if not server.is_unwanted:
        async with open_server(settings, server.url, server.api_key) as api:
            try:
                models = (await api.get("/v1/models"))["data"]
            except UnavailableError:
                if server.url is not None:
                    raise
                note(
                    f"No server answers at {api.client.base_url}; the model is loaded here.", "dim"
                )
            else:
                yield _by_server(api.post, models, how, server.model)
                return
    async with _opened_here(settings, how) as embed_texts:
        yield embed_texts


def _by_server(
    post: Callable[[str, object], Awaitable[Any]],
    models: Sequence[dict[str, Any]],
    how: _How,
    wanted: str | None,
) -> Embed:
    from llm_api.core.errors import ModelNotFoundError

    names = [str(one["id"]) for one in models if one.get("type") == "embedding"]
    name = wanted or next(iter(names), None)
    if name is None:
        raise ModelNotFoundError("The server has no embedding model; --local loads one here.")
    said = {"input_type": how.input_type, "task": how.task, "dimensions": how.dimensions}
    options = {key: value for key, value in said.items() if value is not None}
    options |= {"truncate": True} if how.truncate else {}

    async def embed_texts(texts: Sequence[str]) -> Sequence[Any]:
        body = {"model": name, "input": list(texts), "encoding_format": "float", **options}
        return [one["embedding"] for one in (await post("/v1/embeddings", body))["data"]]

    return embed_texts


@asynccontextmanager
async def _opened_here(settings: "Settings", how: _How) -> AsyncGenerator[Embed, None]:
    from llm_api.assembly.services import open_embedders
    from llm_api.core.embeddings.embedder import EmbeddingRequest
    from llm_api.core.llm.engine.compute_thread import ComputeThread

    async with (
        aclosing(ComputeThread()) as compute,
        open_embedders(settings, compute) as embedders,
    ):
        embedder = embedders.default()

        async def embed_texts(texts: Sequence[str]) -> Sequence[Any]:
            request = EmbeddingRequest(
                list(texts), how.input_type, how.task, how.dimensions, how.truncate
            )
            return [vector.tolist() for vector in (await embedder.embed(request)).vectors]

        yield embed_texts


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
