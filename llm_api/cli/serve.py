"""`llm-api serve`: options that override settings, and the server."""

import errno
import shutil
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.terminal import copyable, harmless, note

if TYPE_CHECKING:
    from llm_api.assembly.entrance import Entrance
    from llm_api.assembly.plan import Plan
    from llm_api.config.settings import Settings
    from llm_api.main import Greeting

EXAMPLES = """Examples:

- `llm-api serve`

- `llm-api serve --model-path ~/models/qwen.gguf --port 9000`

- `llm-api serve --config models.yaml`

- `MODEL_REPO_ID=owner/name MODEL_FILENAME=model.gguf llm-api serve`
"""

_USUAL_PORT = 8000

HostOption = Annotated[str | None, typer.Option(help="Address to listen on [HOST].")]
PortOption = Annotated[int | None, typer.Option(help="Port; 0 takes a free one [PORT].")]
ModelPathOption = Annotated[
    Path | None, typer.Option("--model-path", "-m", help="A GGUF file to serve [MODEL_PATH].")
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes, where no model runs in them [WORKERS].")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A YAML file of models, MCP servers [CONFIG_FILE].")
]
ContextOption = Annotated[
    int | None, typer.Option(help="Tokens of prompt and answer together [CONTEXT_LENGTH].")
]
LogLevelOption = Annotated[
    str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR [LOG_LEVEL].")
]


def serve(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    host: HostOption = None,
    port: PortOption = None,
    model_path: ModelPathOption = None,
    config: ConfigOption = None,
    context_length: ContextOption = None,
    workers: WorkersOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve models on http://127.0.0.1:8000, or where you say. Ctrl-C stops the server.

    An option wins over the environment variable in brackets, that over a line in `.env`.
    What the file of models says of a model wins over all of them.
    """
    # Until the server handles it. A container's first process is not ended by it without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from llm_api.config.settings import load_settings

    settings = load_settings(
        host=host,
        port=port,
        model_path=model_path,
        config_file=config,
        context_length=context_length,
        workers=workers,
        log_level=log_level,
    )
    _check_address(settings.host, settings.port)
    if settings.ollama_port is not None:
        _check_address(settings.host, settings.ollama_port, "OLLAMA_PORT")
    if sys.stderr.isatty():
        note(f"Starting, to serve {_what(settings)} …")
    planned, entrance = _checked(settings)
    from llm_api.main import serve as run_server

    run_server(planned, entrance, partial(_greet, settings))


def _checked(settings: "Settings") -> "tuple[Plan, Entrance]":
    """What is to be served and who may come in, before the server is imported. Blocks.

    Fetches what of the models is not here. Raises ConfigurationError, ModelFileError or
    DownloadError, for a model that does not fit into the memory too.
    """
    from llm_api.assembly.entrance import open_entrance, warn_of_openness
    from llm_api.assembly.plan import plan
    from llm_api.core.utils.logs import configure_logs

    configure_logs(settings.log_level)
    planned, entrance = plan(settings), open_entrance(settings)
    warn_of_openness(settings)
    return planned.with_files(), entrance


def _check_address(host: str, port: int, setting: str = "PORT") -> None:
    """Before anything is imported, or loaded: whether the server will be able to listen.

    Raises ConfigurationError for a host that is none of this machine's; UnavailableError where the
    port is taken, or not allowed.
    """
    from llm_api.config.settings import ConfigurationError
    from llm_api.core.errors import UnavailableError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(f"HOST {host}: is no address of this machine") from error
        if error.errno == errno.EADDRINUSE:
            reason = f"another program listens there; end it, or set another {setting}"
        else:
            reason = f"cannot be listened to: {error.strerror}; set another {setting}"
        raise UnavailableError(f"{setting} {port} of {host}: {reason}") from error


def _what(settings: "Settings") -> str:
    if settings.config_file is not None:
        return f"the models of {harmless(str(settings.config_file))}"
    named = settings.model_path or settings.model_filename
    if settings.llm_backend != "llama" or named is None:
        return "the default model" if settings.llm_backend == "llama" else settings.llm_backend
    return harmless(Path(named).name)


def _greet(settings: "Settings", greeting: "Greeting") -> None:
    """What a started server says: a line in a log, a table on a terminal."""
    from llm_api.cli.remote_server import default_url

    hello = f'{_own_name()} chat --url {greeting.url} "Hello!"'
    as_ollama = f", as Ollama on port {greeting.ollama_port}" if greeting.ollama_port else ""
    models = ", ".join(greeting.models)
    if not sys.stderr.isatty():
        copyable(f"{greeting.url} serves {models}{as_ollama}. Say hello: {hello}")
        return
    is_found = greeting.url == default_url(settings) and settings.port == _USUAL_PORT
    key = "" if settings.api_key is None else ' -H "Authorization: Bearer $API_KEY"'
    body = """'{"messages": [{"role": "user", "content": "Hello!"}]}'"""
    lines = {
        "serves": f"{models}{as_ollama}",
        "page": f"{greeting.url}/",
        "API": f"{greeting.url}/v1, described at {greeting.url}/docs",
        "talk": f"{_own_name()} chat" + ("" if is_found else f" --url {greeting.url}"),
        "call": f"curl {greeting.url}/v1/chat/completions{key} --json {body}",
        "end": "Ctrl-C; answers under way are finished first",
    }
    note("")
    for name, said in lines.items():
        copyable(f"  {name:<8}{said}")
    note("")


def _own_name() -> str:
    """`llm-api` as it can be typed here: with its path where it is not on the PATH."""
    if shutil.which("llm-api"):
        return "llm-api"
    script = Path(sys.executable).with_name("llm-api")
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)
