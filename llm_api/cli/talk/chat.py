"""`llm-api chat`: talk to a running server, or to a model directly."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.talk.conversation import HINT, Conversation, Talker, talk, typed_lines
from llm_api.cli.terminal import notes

if TYPE_CHECKING:
    from llm_api.config.settings import Settings

EXAMPLES = r"""Examples:

- `llm-api chat`

- `llm-api chat "Name three rivers." --temperature 0`

- `llm-api chat --model-path ~/models/qwen.gguf --system "You are brief."`

- `printf 'Hello\nAnd in French?\n' | llm-api chat`
"""


def chat(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    prompt: Annotated[str | None, typer.Argument(help="Say only this, and leave.")] = None,
    url: Annotated[str | None, typer.Option(help="The server [http://HOST:PORT].")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="A key of the server. Unless said: API_KEY, for one on this machine."),
    ] = None,
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
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is exact, more is freer.")
    ] = None,
) -> None:
    """Talk to a model, and watch the answers grow. Needs a running server, or --local.

    In the conversation `/reset` forgets it, `/exit` or Ctrl-D leaves, Ctrl-C stops an answer.
    From a pipe every line is one turn.
    """
    from llm_api.config.settings import load_settings

    is_local = local or model_path is not None or config is not None
    if is_local and url is not None:
        raise typer.BadParameter("--url is for a server, not for a local model.")
    settings = load_settings(
        model_path=model_path, config_file=config, max_tokens=max_tokens, temperature=temperature
    )
    if is_local and model is not None and settings.config_file is None:
        raise typer.BadParameter("--model is for a server or for a file of models (--config).")
    options: dict[str, int | float] = {}
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    if temperature is not None:
        options["temperature"] = temperature
    talker = (
        _local(settings, model, options)
        if is_local
        else _server(settings, url, model, options, api_key)
    )
    with talker as other_side:
        _converse(Conversation(other_side, system), prompt)


def _server(
    settings: "Settings",
    url: str | None,
    model: str | None,
    options: dict[str, int | float],
    api_key: str | None,
) -> AbstractContextManager[Talker]:
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.cli.talk.server_talker import server_talker

    key = key_for(settings, url, api_key)
    return server_talker(url or default_url(settings), model, dict(options), key)


def _local(
    settings: "Settings", model: str | None, options: dict[str, int | float]
) -> AbstractContextManager[Talker]:
    from llm_api.cli.talk.local_talker import local_talker

    return local_talker(settings, model, options)


def _converse(conversation: Conversation, prompt: str | None) -> None:
    if prompt is not None:
        conversation.say(prompt)
    elif sys.stdin.isatty():
        import readline  # noqa: F401 - gives `input` its line editing and history

        notes().print(HINT, markup=False)
        talk(conversation, typed_lines(), stop_at_error=False)
    else:
        talk(conversation, iter(sys.stdin), stop_at_error=True)
