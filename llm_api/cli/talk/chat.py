"""`llm-api chat`: talk to a running server, or to a model directly."""

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.options import KeyOption, URLOption, refuse_url
from llm_api.cli.terminal import note

if TYPE_CHECKING:
    from llm_api.cli.talk.conversation import Conversation, Talker
    from llm_api.config.settings import Settings
    from llm_api.core.llm.types import JSON

EXAMPLES = r"""Examples:

- `llm-api chat`

- `llm-api chat "Name three rivers." --temperature 0`

- `git diff | llm-api chat "Review this."`

- `llm-api chat "What does the guide say of ports?" --docs manuals`

- `llm-api chat "Ada is 36." --schema person.json --json`

- `llm-api chat --model-path ~/models/qwen.gguf --system "You are brief."`

- `printf 'Hello\nAnd in French?\n' | llm-api chat`
"""


def chat(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    ctx: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="Say only this, and leave.")] = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    model: Annotated[
        str | None, typer.Option(help="Name of a model that the server, or the file, has.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Load the model that the settings choose; no server.")
    ] = False,
    model_path: Annotated[
        Path | None, typer.Option("--model-path", "-m", help="Load this GGUF file; no server.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Load --model, or the first, of this YAML file; no server."),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="System message.")] = None,
    docs: Annotated[
        str | None, typer.Option("--docs", metavar="COLLECTION", help="Answer from documents.")
    ] = None,
    tools: Annotated[
        bool, typer.Option("--tools", help="Let the model call the server's functions.")
    ] = False,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="Hold the answer to this JSON Schema, a file.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is exact, more is freer.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Show Markdown as it is written.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each answer as JSON, with its usage.")
    ] = False,
) -> None:
    """Talk to a model, and watch the answers grow. Needs a running server, or --local.

    In the conversation `/help` lists what can be typed, `/exit` or Ctrl-D leaves, Ctrl-C stops an
    answer. With a prompt, what comes from a pipe is added to it; without one, every line is a turn.
    """
    from llm_api.cli.talk.conversation import AnswerWishes, Conversation
    from llm_api.config.settings import load_settings

    is_local = local or model_path is not None or config is not None
    if is_local:
        refuse_url(ctx)
    if docs is not None and tools:
        raise typer.BadParameter("--docs and --tools do not go together.")
    settings = load_settings(
        model_path=model_path, config_file=config, max_tokens=max_tokens, temperature=temperature
    )
    if is_local and model is not None and settings.config_file is None:
        raise typer.BadParameter("--model is for a server or for a file of models (--config).")
    wanted = None if schema is None else _schema(schema)
    options: dict[str, int | float] = {}
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    if temperature is not None:
        options["temperature"] = temperature
    talker = (
        _local(settings, model, options) if is_local else _server(settings, url, options, api_key)
    )
    with talker as other_side:
        wishes = AnswerWishes(model or other_side.models()[0], docs, tools, wanted)
        conversation = Conversation(
            other_side,
            wishes,
            system,
            renders=not raw and schema is None,
            as_json=as_json,
            is_typed=prompt is None and _is_typed(),
        )
        _converse(conversation, prompt)


def _schema(path: Path) -> "JSON":
    from llm_api.core.errors import InvalidRequestError

    try:
        found: JSON = json.loads(path.expanduser().read_text("utf-8"))
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidRequestError(f"{path} holds no JSON: {error}.") from error
    return found


def _server(
    settings: "Settings", url: str | None, options: dict[str, int | float], api_key: str | None
) -> "AbstractContextManager[Talker]":
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.cli.talk.server_talker import server_talker

    key = key_for(settings, url, api_key)
    return server_talker(url or default_url(settings), dict(options), key)


def _local(
    settings: "Settings", model: str | None, options: dict[str, int | float]
) -> "AbstractContextManager[Talker]":
    from llm_api.cli.talk.local_talker import local_talker

    return local_talker(settings, model, options)


def _is_typed() -> bool:
    """Whether a person is there to type."""
    return sys.stdin is not None and sys.stdin.isatty()


def _converse(conversation: "Conversation", prompt: str | None) -> None:
    from llm_api.cli.talk.commands import HINT, talk
    from llm_api.cli.talk.typed_lines import history, typed_lines

    if prompt is not None:
        if not _is_typed() and (piped := sys.stdin.read().strip("\n")):
            prompt = f"{prompt}\n\n{piped}"
        conversation.say(prompt)
    elif conversation.is_typed:
        note(f"{conversation.wishes.model} answers, {conversation.talker.place}. {HINT}")
        with history():
            talk(conversation, typed_lines(), stop_at_error=False)
    else:
        talk(conversation, iter(sys.stdin), stop_at_error=True)
