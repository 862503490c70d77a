"""`llm-api rag search|ask`: passages that answer a question, and an answer with its sources."""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from llm_api.cli.in_process import opened
from llm_api.cli.options import CollectionOption, JSONOption, KeyOption, LocalOption, URLOption
from llm_api.cli.terminal import harmless, note, output, print_json, print_prose, say
from llm_api.core.errors import GenerationError, InvalidRequestError

if TYPE_CHECKING:
    from llm_api.cli.remote_server import ServerAPI

EXAMPLES: Final = {
    "search": """Examples:

- `llm-api rag search "how is the port changed?"`

- `llm-api rag search "port" --mode sparse --top-k 3 --json`
""",
    "ask": """Examples:

- `llm-api rag ask "How is the port changed?"`

- `llm-api rag ask "What is new?" --collection manuals --filter '{"year": 2026}'`
""",
}
_SHOWN: Final = 400

QuestionArgument = Annotated[str, typer.Argument(help="What is asked.")]
TopKOption = Annotated[int | None, typer.Option(min=1, max=100, help="Passages [RAG_TOP_K].")]
ModeOption = Annotated[
    Literal["dense", "sparse", "hybrid"] | None,
    typer.Option(help="By meaning, by words, or by both."),
]
FilterOption = Annotated[
    str | None, typer.Option("--filter", metavar="JSON", help="Of documents with such metadata.")
]


def search(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    question: QuestionArgument,
    collection: CollectionOption = "default",
    top_k: TopKOption = None,
    mode: ModeOption = None,
    filter: FilterOption = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Find the passages that answer a question."""
    body = _body(question, collection, top_k, mode, filter)

    async def ask() -> dict[str, Any]:
        async with opened(url, api_key, local) as api:
            found: dict[str, Any] = await api.post("/v1/rag/search", body)
            return found

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
        return
    if not found["data"]:
        note(f"Nothing in {collection} is like that.")
    for number, hit in enumerate(found["data"], 1):
        print_prose(output(), f"{number}. {_place(hit)}", "bold")
        say(_shortened(hit["text"]))


def ask(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    question: QuestionArgument,
    collection: CollectionOption = "default",
    model: Annotated[str | None, typer.Option(help="Who answers; the first model.")] = None,
    top_k: TopKOption = None,
    mode: ModeOption = None,
    filter: FilterOption = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    as_json: JSONOption = False,
) -> None:
    """Have a model answer from the documents.

    The answer grows as it is written; then come the sources that it cites. Needs a running server.
    """
    body = _body(question, collection, top_k, mode, filter)
    body |= {} if model is None else {"model": model}
    body |= {} if max_tokens is None else {"max_tokens": max_tokens}

    async def run() -> None:
        async with opened(url, api_key, False) as api:
            if as_json:
                print_json(await api.post("/v1/rag/chat", body))
            else:
                await _tell_answer(api, {**body, "stream": True})

    asyncio.run(run())


@dataclass(slots=True)
class _Answer:
    """What has come of an answer, which is printed as it comes."""

    sources: list[dict[str, Any]] = field(default_factory=list)
    cited: set[int] = field(default_factory=set)

    def take(self, said: dict[str, Any]) -> None:
        """One typed event. Raises GenerationError for the one that says why there is no more."""
        if error := said.get("error"):
            raise GenerationError(str(error.get("message")))
        self.sources = said.get("sources") or self.sources
        if "number" in said and "quote" in said:
            self.cited.add(said["number"])
        sys.stdout.write(harmless(str(said.get("text", "") if "quote" not in said else "")))
        sys.stdout.flush()

    def tell_sources(self) -> None:
        """Those that are cited; all of them where none is."""
        for source in self.sources:
            if not self.cited or source["number"] in self.cited:
                note(f"[{source['number']}] {_place(source)}", "dim")


async def _tell_answer(api: "ServerAPI", body: dict[str, Any]) -> None:
    answer = _Answer()
    is_whole = False
    async with api.stream("/v1/rag/chat", body) as events:
        try:
            async for data in events:
                is_whole = data == "[DONE]"
                if not is_whole:
                    answer.take(json.loads(data))
        finally:
            sys.stdout.write("\n")
    if not is_whole:
        raise GenerationError("The server ended the answer before it was complete.")
    answer.tell_sources()


def _body(
    question: str, collection: str, top_k: int | None, mode: str | None, filter: str | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"query": question, "collection": collection}
    body |= {} if top_k is None else {"top_k": top_k}
    body |= {} if mode is None else {"mode": mode}
    if filter is not None:
        try:
            body["filter"] = json.loads(filter)
        except ValueError as error:
            raise InvalidRequestError('--filter is no JSON, such as {"kind": "pdf"}.') from error
    return body


def _place(hit: dict[str, Any]) -> str:
    """Where a passage stands: its document, page and headings."""
    page = f", page {hit['page']}" if hit.get("page") else ""
    under = " > ".join(hit.get("headings") or ())
    return f"{hit['document_id']}{page}{f' ({under})' if under else ''}, {hit['score']:.2f}"


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
