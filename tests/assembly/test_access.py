"""Who may come in, out of the settings."""

from pathlib import Path

import pytest

from llm_api.api.policy import LOOPBACK_HOSTS, Access
from llm_api.assembly.access import open_access
from llm_api.config.keys_file import add_key, hash_text, remove_key
from llm_api.config.settings import ConfigurationError, Settings, load_settings
from llm_api.core.access.keys import SCOPES, USER_SCOPES, Limits, digest_of
from llm_api.main import create_app


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
        f"HOST {host}: whoever reaches this address could use the server; set API_KEY or"
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
