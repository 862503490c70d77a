"""The commands put together, and the one place where an error becomes a line and an exit code.

Exit codes: 0 done, 1 it could not be done, 2 wrong usage or a wrong setting, 130 interrupted.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from llm_api.cli.chat import EXAMPLES as CHAT_EXAMPLES
from llm_api.cli.chat import chat
from llm_api.cli.doctor import EXAMPLES as DOCTOR_EXAMPLES
from llm_api.cli.doctor import doctor
from llm_api.cli.embed import EXAMPLES as EMBED_EXAMPLES
from llm_api.cli.embed import embed
from llm_api.cli.functions import functions
from llm_api.cli.ingest import EXAMPLES as INGEST_EXAMPLES
from llm_api.cli.ingest import ingest
from llm_api.cli.keys import keys
from llm_api.cli.models import models
from llm_api.cli.rag import rag
from llm_api.cli.serve import EXAMPLES as SERVE_EXAMPLES
from llm_api.cli.serve import serve
from llm_api.cli.terminal import fail
from llm_api.core.errors import LLMAPIError

app = typer.Typer(
    help="A local LLM API server that speaks the OpenAI protocol, and its tools.",
    epilog="Start here: **llm-api serve**, then **llm-api chat** in another terminal.",
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command(epilog=SERVE_EXAMPLES)(serve)
app.command(epilog=CHAT_EXAMPLES)(chat)
app.command(epilog=EMBED_EXAMPLES)(embed)
app.command(epilog=INGEST_EXAMPLES)(ingest)
app.add_typer(rag, name="rag")
app.add_typer(models, name="models")
app.add_typer(functions, name="functions")
app.add_typer(keys, name="keys")
app.command(epilog=DOCTOR_EXAMPLES)(doctor)


_OWN_OPTIONS = {"-h", "--help", "--version", "--install-completion", "--show-completion"}


def _print_version(wanted: bool) -> None:
    if wanted:
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
    """Run the command that the arguments name; `serve` if they name none. Ends the process.

    None means the arguments of this process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _OWN_OPTIONS):
        arguments = ["serve", *arguments]
    # Imported late: pydantic takes longer than `--help` should.
    from llm_api.config.settings import ConfigurationError

    try:
        app(arguments)
    except ConfigurationError as error:
        fail(error.message)
        sys.exit(2)
    except LLMAPIError as error:
        fail(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
