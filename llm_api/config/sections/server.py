"""How the server is reached, what its plain endpoints allow, and what it records of requests."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_settings import NoDecode

from llm_api.config.sections.field_types import HomePath, Text, split, upper

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)
]


DEFAULT_VOLATILE_LINES = (
    "-x-anthropic-billing-header:*;",
    "today's date*",
    "current date:*",
    "the current date is *",
    ">current time:*",
    ">the current time is *",
    ">current date and time:*",
    ">the current date and time is *",
)


def _none(value: object) -> object:
    """`none` is an empty list: an empty variable is as good as unset."""
    return () if isinstance(value, str) and value.strip().lower() == "none" else split(value)


VolatileLines = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=4, max_length=256)], ...],
    Field(max_length=64),
    NoDecode,
    BeforeValidator(_none),
]


class ServerSettings(BaseModel):
    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on, `::` for IPv4 and IPv6; one that others reach needs a"
        " key.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    ollama_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Another port to listen on, as Ollama does on 11434, for clients that look for"
        " it there.",
    )
    root_path: str = Field(
        default="",
        description="Path below which a proxy serves this server, such as `/llm`; whether the proxy"
        " takes it off or not.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8,::1",
        description="Addresses or networks of proxies that may name that path in"
        " `X-Forwarded-Prefix`, separated by commas.",
    )
    page: bool = Field(
        default=True,
        description="Show a page to browsers at `/`: talk, documents, the engine at work.",
    )
    max_connections: int = Field(
        default=2048,
        ge=1,
        description="Connections that may be open at once, in each process; one more is answered"
        " 503.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=128,
        description="Processes that serve; more than one only where no model runs in them.",
    )
    strict_parameters: bool = Field(
        default=True,
        description="Refuse a request with a field that is not known here; else the header"
        " `x-ignored-parameters` names it, and it changes nothing.",
    )
    volatile_lines: VolatileLines = Field(
        default=DEFAULT_VOLATILE_LINES,
        description="Lines of system prompts that change between requests, as patterns with `*`,"
        " separated by commas: each goes to the user's first turn, after `>` to the last, after"
        " `-` out; so the prefix before it is computed once. `none`: all stay.",
    )
    sse_ping_seconds: int = Field(
        default=15,
        ge=1,
        description="Silence in a stream after which a keep-alive comment is sent.",
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        allow_inf_nan=False,
        description="How long running requests may go on once the server is told to end.",
    )
    log_level: LogLevel = Field(
        default="INFO", description="`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."
    )

    @model_validator(mode="after")
    def _are_networks(self) -> "ServerSettings":
        try:
            networks_of(self.trusted_proxies)
        except ValueError as error:
            raise ValueError(f"TRUSTED_PROXIES: {error}") from error
        return self

    @model_validator(mode="after")
    def _are_two_ports(self) -> "ServerSettings":
        if self.ollama_port == self.port:
            raise ValueError("OLLAMA_PORT: must be another port than PORT")
        return self


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of a comma-separated list; an address is a network of one. Raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


class RequestLogSettings(BaseModel):
    log_file: HomePath = Field(
        default=Path("logs/log.jsonl"),
        description="The request log, a line of JSON for each request; `/dev/null`: none.",
    )
    log_max_bytes: ByteSize = Field(
        default=ByteSize(100_000_000),
        ge=4096,
        description="Size from which the request log is begun anew, such as `100MB`.",
    )
    log_backups: int = Field(
        default=5, ge=0, le=1000, description="Earlier files of it that are kept: `log.jsonl.1`, …"
    )
    log_content: bool = Field(
        default=False, description="Write prompts and answers into the request log as well."
    )


class TracingSettings(BaseModel):
    """By OpenTelemetry's own names. Its SDK reads its other variables from the environment."""

    otel_exporter_otlp_endpoint: AnyHttpUrl | None = Field(
        default=None,
        description=(
            "Collector that gets traces, such as `http://127.0.0.1:4318`; needs `llm_api[tracing]`."
        ),
    )
    otel_exporter_otlp_traces_endpoint: AnyHttpUrl | None = Field(
        default=None, description="The same, when its URL is used as it stands."
    )
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", description="How traces travel: `http/protobuf` alone."
    )
    otel_traces_exporter: Literal["otlp", "none"] = Field(
        default="otlp", description="`none` sends no traces."
    )

    @property
    def traces_url(self) -> str | None:
        """Where spans are posted; None where no traces are wanted."""
        if self.otel_traces_exporter == "none":
            return None
        if self.otel_exporter_otlp_traces_endpoint is not None:
            return str(self.otel_exporter_otlp_traces_endpoint)
        if self.otel_exporter_otlp_endpoint is not None:
            return str(self.otel_exporter_otlp_endpoint).rstrip("/") + "/v1/traces"
        return None


class PlainSettings(BaseModel):
    generate_max_tokens: int = Field(
        default=200, ge=1, description="Tokens that `POST /generate` may be asked for at most."
    )
