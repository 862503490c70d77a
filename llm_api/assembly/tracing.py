"""Traces, where the settings want them; where they do not, nothing is imported for them."""

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from llm_api.config.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from llm_api.api.request_spans import RequestTracer


def open_tracing(settings: Settings) -> "RequestTracer | None":
    """A tracer to be entered. Raises ConfigurationError where its packages are not installed."""
    url = settings.traces_url
    if url is None:
        return None
    try:
        from llm_api.api.request_spans import RequestTracer, otlp_processor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: traces need more packages: pip install 'llm_api[tracing]'"
        ) from error
    return RequestTracer(partial(otlp_processor, url), version("llm_api"))
