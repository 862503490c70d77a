"""What the configuration file may say of an MCP server. Secrets in it are never shown."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, StrictFloat, model_validator

from llm_api.config.sections.field_types import HomePath, Section, Text
from llm_api.core.functions.mcp_servers import Address, Endpoint, MCPServer, Program

DEFAULT_START_SECONDS = 20.0
"""Enough for `npx` to fetch a package; and the SDK gives a server that does not know its first
question 10 of them before it asks the second."""


def _header(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not printable ASCII")
    return value


HeaderText = Annotated[SecretStr, AfterValidator(_header)]


class MCPServerEntry(Section):
    """One server: a program to start (`command`), or an endpoint to call (`url`)."""

    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: Text | None = None
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default={})
    cwd: HomePath | None = None
    url: AnyHttpUrl | None = None
    headers: dict[str, HeaderText] = Field(default={})
    start_seconds: StrictFloat = Field(default=DEFAULT_START_SECONDS, ge=1, allow_inf_nan=False)
    timeout_seconds: StrictFloat | None = Field(default=None, ge=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_address(self) -> "MCPServerEntry":
        if (self.command is None) == (self.url is None):
            raise ValueError("must give exactly one of command and url")
        ours, others = ("command", "url") if self.url is None else ("url", "command")
        foreign = {"url": {"headers"}, "command": {"args", "env", "cwd"}}[others]
        if named := sorted(self.model_fields_set & foreign):
            raise ValueError(f"{named[0]} goes with {others}, not with {ours}")
        if self.type is not None and (self.type == "stdio") != (self.url is None):
            raise ValueError(f"type {self.type} does not go with {ours}")
        return self

    def server(self, name: str, folder: Path) -> MCPServer:
        """What the entry means. A relative `cwd` starts at `folder`. Pure."""
        return MCPServer(name, self._address(folder), self.start_seconds, self.timeout_seconds)

    def _address(self, folder: Path) -> Address:
        if self.command is None:
            return Endpoint(str(self.url), _revealed(self.headers))
        cwd = None if self.cwd is None else folder / self.cwd
        return Program(self.command, self.args, _revealed(self.env), cwd)


def _revealed(values: dict[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in values.items()}
