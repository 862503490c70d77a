"""Where the server listens, and what it logs."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from llm_api.config.sections.field_types import Text, upper

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)
]


class ServerSettings(BaseModel):
    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on; one that others reach needs a key.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
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
