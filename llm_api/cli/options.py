"""Options that several commands have, so that they mean the same in each."""

from typing import Annotated, TypeAlias

import typer

URLOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", envvar="LLM_API_URL", help="The server [http://HOST:PORT]."),
]
KeyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="LLM_API_KEY",
        help="A key of the server. Unless said: API_KEY, for one on this machine.",
    ),
]
JSONOption: TypeAlias = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
CollectionOption: TypeAlias = Annotated[
    str, typer.Option("--collection", "-c", help="The collection.")
]
LocalOption: TypeAlias = Annotated[
    bool,
    typer.Option("--local", help="What is stored where the settings say, without a server."),
]


def refuse_url(ctx: typer.Context) -> None:
    """Raises BadParameter where a URL was typed; one of the environment is passed over."""
    source = ctx.get_parameter_source("url")
    if source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("--url is for a server, and none is asked here.")
