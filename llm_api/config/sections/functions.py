"""Functions that the server makes available, and their limits."""

from pydantic import AnyHttpUrl, BaseModel, ByteSize, Field, model_validator

from llm_api.config.sections.field_types import HomePath, Names


class FunctionSettings(BaseModel):
    functions_dir: HomePath | None = Field(
        default=None,
        description="A folder of Python files whose functions are offered. They run with the"
        " server's rights.",
    )
    function_timeout_seconds: int = Field(
        default=30, ge=1, description="Seconds a function may take that does not say it itself."
    )
    max_tool_rounds: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Rounds of calls in an answer with `server_tools`; then the model must answer.",
    )
    function_result_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024),
        ge=1024,
        description="Size that a function's result may have as JSON, such as `64KiB`.",
    )
    mcp_allowed_urls: Names = Field(
        default=(),
        description="MCP servers that a request for a response may name as `server_url`, separated"
        " by commas. Unset: none.",
    )
    weather_geocoding_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("https://geocoding-api.open-meteo.com"),
        description="Where the weather functions look up places: Open-Meteo's geocoding API.",
    )
    weather_forecast_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("https://api.open-meteo.com"),
        description="Where they get the weather: Open-Meteo's forecast API.",
    )

    @model_validator(mode="after")
    def _folder_is_there(self) -> "FunctionSettings":
        if self.functions_dir is not None and not self.functions_dir.is_dir():
            raise ValueError(f"FUNCTIONS_DIR: there is no folder {str(self.functions_dir)!r}")
        return self
