"""Traces, by OpenTelemetry's own names. Its SDK reads its other variables from the environment."""

from typing import Literal

from pydantic import AnyHttpUrl, BaseModel, Field


class TracingSettings(BaseModel):
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
