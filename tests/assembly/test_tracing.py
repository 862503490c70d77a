"""Traces of the whole application, where OpenTelemetry's variables ask for them."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from llm_api.config.settings import ConfigurationError, Settings, load_settings
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from tests.cli.command import environment
from tests.collector import open_collector
from tests.live import live_server


def settings(folder: Path, **more: object) -> Settings:
    return load_settings(
        model_path=default_model_path(), embedding_backend="none", data_dir=folder, **more
    )


def test_spans_reach_the_collector_by_the_end(tmp_path: Path) -> None:
    with open_collector() as collector:
        app = create_app(settings(tmp_path, otel_exporter_otlp_endpoint=collector.url))
        with live_server(app) as url:
            httpx2.get(f"{url}/health")
            httpx2.get(f"{url}/v1/models")
    assert {span.name for span in collector.spans} >= {"GET /health", "GET /v1/models"}
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.services == {"llm_api"}


def test_the_variables_that_only_the_sdk_reads_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    with open_collector() as collector:
        target = f"{collector.url}/some/where"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", target)
        with live_server(create_app(settings(tmp_path))) as url:
            httpx2.get(f"{url}/health")
    assert collector.paths == ["/some/where"]
    assert collector.services == {"gateway"}


def test_a_protocol_that_is_not_spoken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        load_settings()


@pytest.mark.parametrize("variables", [{}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_nothing_is_imported_where_nobody_wants_traces(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    program = (
        "import sys; from llm_api.main import create_app;"
        " from llm_api.config.settings import load_settings;"
        " create_app(load_settings());"
        " print([name for name in sys.modules if name.startswith('opentelemetry.')"
        " and name.split('.')[1] in ('sdk', 'exporter', 'proto')])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_traces_without_their_packages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "llm_api.api.request_spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"llm_api\[tracing\]"):
        create_app(settings(tmp_path, otel_exporter_otlp_endpoint="http://127.0.0.1:4318"))
