"""The commands put together, and the one place where an error becomes a line and an exit code.

Exit codes: 0 done, 1 it could not be done, 2 wrong usage or a wrong setting, 130 interrupted.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

import typer

from llm_api.cli.lazy import Entries, LazyGroup, Noun, Verb
from llm_api.cli.terminal import fail
from llm_api.core.errors import LLMAPIError

_RAG: Final = Noun(
    "Store documents, search them, ask them, and see what is there.",
    {
        "collections": Verb(
            "llm_api.cli.rag.documents:list_collections", "Show the collections and their sizes."
        ),
        "list": Verb("llm_api.cli.rag.documents:list_documents", "Show the documents."),
        "show": Verb("llm_api.cli.rag.documents:show", "Show a document: what is known, its text."),
        "search": Verb(
            "llm_api.cli.rag.asking:search", "Find the passages that answer a question."
        ),
        "ask": Verb("llm_api.cli.rag.asking:ask", "Have a model answer from the documents."),
        "delete": Verb("llm_api.cli.rag.documents:delete", "Delete documents, or a collection."),
        "report": Verb(
            "llm_api.cli.rag.report:report_collection",
            "Say what is in a collection: by source and kind, what failed, what is older than its"
            " source.",
        ),
        "eval": Verb(
            "llm_api.cli.rag.evaluate:evaluate_folder",
            "Say which way to search is best: dense, sparse or hybrid, and with what weights.",
        ),
        "reindex": Verb(
            "llm_api.cli.rag.renew:reindex_collection",
            "Embed a collection with the model that the settings name now.",
        ),
    },
    'Begin: **llm-api ingest docs/**, then **llm-api rag ask "What is it about?"**',
)
_MODELS: Final = Noun(
    "Find, fetch, see and delete models.",
    {
        "list": Verb(
            "llm_api.cli.models.installed:list_models",
            "Show the installed models; the arrow marks what the settings or the file choose.",
        ),
        "show": Verb(
            "llm_api.cli.models.installed:show", "Show what is known of an installed model."
        ),
        "search": Verb(
            "llm_api.cli.models.hub:search", "Find repositories with GGUF files on the hub."
        ),
        "pull": Verb(
            "llm_api.cli.models.hub:pull",
            "Fetch a model. An interrupted download goes on where it stopped when you pull again.",
        ),
        "delete": Verb(
            "llm_api.cli.models.installed:delete",
            "Delete a model file. Only files in the models folder are ever deleted.",
            aliases=("remove",),
        ),
        "optimize": Verb(
            "llm_api.cli.optimize:optimize",
            "Measure which quantisation of a model is fastest on this machine, and what it costs.",
        ),
    },
    "Fetch one: **llm-api models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF**",
)
_FUNCTIONS: Final = Noun(
    "See and run the functions that models can call. Needs no server.",
    {
        "list": Verb(
            "llm_api.cli.functions:list_functions",
            "Show the functions: built in, from `FUNCTIONS_DIR`, from packages, from MCP servers.",
        ),
        "show": Verb("llm_api.cli.functions:show", "Show a function: what a model is told of it."),
        "call": Verb(
            "llm_api.cli.functions:call",
            "Run a function, and print its result as JSON. Exit code 2: the arguments do not fit.",
        ),
    },
    "Run one: **llm-api functions call get_weekday date=2026-02-14**",
)
_KEYS: Final = Noun(
    "Make, list and delete API keys. A running server notices at once.",
    {
        "create": Verb(
            "llm_api.cli.keys:create",
            "Make a key, and show it this once: the file keeps its hash alone.",
        ),
        "list": Verb(
            "llm_api.cli.keys:list_keys",
            "Show the keys: who has them, and what they permit; not the keys themselves.",
        ),
        "show": Verb("llm_api.cli.keys:show", "Show what a key permits; not the key itself."),
        "delete": Verb(
            "llm_api.cli.keys:delete",
            "Delete a key. Requests that are being answered go on; the next one is refused.",
            aliases=("revoke",),
        ),
    },
    "Make one: **llm-api keys create alice --file keys.yaml**",
)
_CACHE: Final = Noun(
    "See and delete the computed prefixes that a server keeps, in memory and in `KV_CACHE_DIR`.",
    {
        "list": Verb(
            "llm_api.cli.cache:list_prefixes",
            "Show the prefixes that are kept: whose they are, how long, how large, where, and last"
            " used.",
        ),
        "delete": Verb(
            "llm_api.cli.cache:clear",
            "Delete the prefixes that are kept, or those of one key. What is needed is computed"
            " again.",
            aliases=("clear",),
        ),
    },
    "Begin: **llm-api cache list --dir FOLDER**",
)
COMMANDS: Final[Entries] = {
    "serve": Verb(
        "llm_api.cli.serve:serve",
        "Serve models on http://127.0.0.1:8000, or where you say. Ctrl-C stops the server.",
    ),
    "chat": Verb(
        "llm_api.cli.talk.chat:chat",
        "Talk to a model, and watch the answers grow. Needs a running server, or --local.",
    ),
    "ingest": Verb(
        "llm_api.cli.rag.ingest:ingest",
        "Store files, so that they are found and answered from. Skips what has not changed.",
    ),
    "rag": _RAG,
    "models": _MODELS,
    "embed": Verb(
        "llm_api.cli.embed:embed",
        "Write the vector of each text as a line of JSON: an array of numbers.",
    ),
    "functions": _FUNCTIONS,
    "keys": _KEYS,
    "cache": _CACHE,
    "doctor": Verb(
        "llm_api.cli.doctor:doctor",
        "Say what llama.cpp uses of this machine, whether the model fits, and what to change.",
    ),
}
"""One grammar: `list`, `show`, `create`, `delete` mean the same of every noun."""


class _Root(LazyGroup):
    entries: ClassVar[Entries] = COMMANDS


app = typer.Typer(
    cls=_Root,
    help="A local LLM API server that speaks the OpenAI protocol, and its tools.",
    epilog="Start here: **llm-api serve**, then **llm-api chat** in another terminal.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_OWN_OPTIONS = {"-h", "--help", "--version", "--install-completion", "--show-completion"}
_WRONG_SETTING = "configuration_invalid"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"llm-api {version('llm_api')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """The options of `llm-api` itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; shows what there is if there are none.

    Options without a command are those of `serve`. None means the arguments of this process. Ends
    the process.
    """
    try:
        _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: Sequence[str]) -> None:
    if arguments and arguments[0].startswith("-") and arguments[0] not in _OWN_OPTIONS:
        arguments = ["serve", *arguments]
    try:
        app(arguments or ["--help"])
    except LLMAPIError as error:
        fail(error.message)
        sys.exit(2 if error.code == _WRONG_SETTING else 1)
