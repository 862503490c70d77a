"""Who may come in, out of the settings; and traces, where OpenTelemetry's variables ask."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from llm_api.api.policy import LOOPBACK_HOSTS, Access
from llm_api.assembly.entrance import open_access
from llm_api.config.keys_file import add_key, hash_text, remove_key
from llm_api.config.settings import ConfigurationError, Settings, load_settings
from llm_api.core.access.keys import SCOPES, USER_SCOPES, Limits, digest_of
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from tests.cli.command import environment
from tests.collector import open_collector
from tests.live import live_server


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def access_of(**settings: object) -> Access:
    return open_access(load_settings(**settings))


PUBLIC_HOSTS = ["0.0.0.0", "::", "192.168.1.2", "llm.example"]  # noqa: S104 - nothing is bound


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
def test_others_reach_a_server_only_by_a_key_or_by_leave(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_app(load_settings(host=host))
    assert str(caught.value) == (
        f"HOST {host}: anybody who reaches this address could use the server; set API_KEY or"
        " API_KEYS_FILE, or ALLOW_UNAUTHENTICATED=true"
    )
    assert access_of(host=host, api_key="sk").keyring is not None
    assert access_of(host=host, allow_unauthenticated=True).keyring is None


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({}, LOOPBACK_HOSTS),
        ({"host": "localhost"}, LOOPBACK_HOSTS),
        ({"host": "127.0.0.2"}, LOOPBACK_HOSTS | {"127.0.0.2"}),
        ({"host": "::1"}, LOOPBACK_HOSTS),
        ({"allowed_hosts": "LLM.example"}, LOOPBACK_HOSTS | {"llm.example"}),
        ({"allow_unauthenticated": True}, LOOPBACK_HOSTS),
        ({"api_key": "sk"}, None),
        (
            {"api_key": "sk", "allowed_hosts": "llm.example"},
            LOOPBACK_HOSTS | {"127.0.0.1", "llm.example"},
        ),
        ({"host": "192.168.1.2", "allow_unauthenticated": True}, None),
        (
            {
                "host": "192.168.1.2",
                "allow_unauthenticated": True,
                "allowed_hosts": "llm.example",
            },
            LOOPBACK_HOSTS | {"192.168.1.2", "llm.example"},
        ),
    ],
)
def test_names_are_checked_where_no_key_protects_or_names_are_given(
    settings: dict[str, object], hosts: frozenset[str] | None
) -> None:
    assert access_of(**settings).allowed_hosts == hosts


def test_the_one_key_may_do_everything_within_the_limits_of_the_settings() -> None:
    access = access_of(api_key="sk-one", key_requests_per_minute=5, key_concurrency=2)
    key = access.identify(["sk-one"])
    assert key is not None
    assert (key.name, key.scopes, key.models) == ("API_KEY", SCOPES, None)
    assert key.limits == Limits(requests_per_minute=5, concurrency=2)
    assert access.identify(["wrong"]) is None
    assert access.identify(["wrong", "sk-one"]) is None
    assert access.identify([]) is None


def test_a_file_of_keys_is_followed_beside_the_one_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, name="alice", hash=hash_text(digest_of("sk-a")))
    access = access_of(api_key="sk-one", api_keys_file=file, key_tokens_per_minute=9)
    key = access.identify(["sk-a"])
    assert key is not None
    assert (key.name, key.scopes) == ("alice", USER_SCOPES)
    assert key.limits == Limits(tokens_per_minute=9)
    remove_key(file, "alice")
    assert access.identify(["sk-a"]) is None
    assert access.identify(["sk-one"]) is not None


def test_an_empty_file_of_keys_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.touch()
    assert access_of(api_keys_file=file).identify([""]) is None


def test_a_file_of_keys_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"keys.yaml: cannot be read"):
        access_of(api_keys_file="keys.yaml")


def test_without_keys_everybody_is_one_caller_within_the_limits() -> None:
    key = access_of(key_concurrency=3).identify([])
    assert key is not None
    assert (key.name, key.scopes, key.limits) == ("", SCOPES, Limits(concurrency=3))


async def test_limits_are_counted_in_redis_where_it_is_named(redis_url: str) -> None:
    limits = Limits(requests_per_minute=10**6)
    used: list[int] = []
    for _ in range(2):
        limiter = access_of(redis_url=redis_url).limiter
        [window] = limiter.windows(limits, "requests")
        used += (await limiter.count("test-open-access", {window: 1})).values()
        await limiter.aclose()
    assert used[1] == used[0] + 1 or used[1] == 1  # a minute may end between them


def test_a_proxy_may_serve_it_below_a_path() -> None:
    assert access_of(root_path="/llm/").root_path == "/llm"
    assert not access_of().root_path
    proxies = access_of(trusted_proxies="10.0.0.0/8, 192.0.2.7").trusted_proxies
    assert [str(network) for network in proxies] == ["10.0.0.0/8", "192.0.2.7/32"]
    assert access_of(trusted_proxies="").trusted_proxies == ()


@pytest.mark.parametrize("path", ["llm", "/v1", "/a b", "/docs/"])
def test_not_below_any_path(path: str) -> None:
    with pytest.raises(ConfigurationError, match="ROOT_PATH: must be a path such as /llm"):
        access_of(root_path=path)


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
