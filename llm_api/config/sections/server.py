"""Where the server listens, and what it logs."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, model_validator

from llm_api.config.sections.field_types import Text, upper

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)
]


class ServerSettings(BaseModel):
    host: Text = Field(
        default="127.0.0.1", description="Address to listen on. There is no access control yet."
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
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
    api_key: SecretStr | None = Field(
        default=None,
        description="Must stay unset: keys cannot be checked yet, so the server refuses to start.",
    )

    @model_validator(mode="after")
    def _no_key_yet(self) -> "ServerSettings":
        if self.api_key is not None:
            raise ValueError(
                "API_KEY is set, but this version cannot check keys yet: "
                "unset it, and keep the server on loopback"
            )
        return self
