"""The whole application where keys are asked for: keys made and revoked while it runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from openai import AuthenticationError, OpenAI, PermissionDeniedError

from llm_api.config.keys_file import add_key, hash_text, remove_key
from llm_api.config.settings import load_settings
from llm_api.core.access.keys import digest_of, new_secret
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from tests.live import live_server, wait_until

MODEL = default_model_path().stem


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.yaml"
    file.touch()
    return file


@pytest.fixture(scope="module")
def guarded_url(keys_file: Path) -> Iterator[str]:
    """A server that counts in Redis where the environment names one, else in memory."""
    settings = load_settings(
        model_path=default_model_path(),
        parallel=1,
        context_length=256,
        host="0.0.0.0",  # noqa: S104 - so the settings say; the test listens on loopback
        api_keys_file=keys_file,
        redis_url=os.environ.get("REDIS_URL"),
    )
    with live_server(create_app(settings)) as url:
        wait_until(lambda: httpx2.get(f"{url}/health/ready").status_code == 200, seconds=60)
        yield url


def make_key(file: Path, name: str, **values: object) -> str:
    secret = new_secret()
    add_key(file, name=name, hash=hash_text(digest_of(secret)), **values)
    return secret


def ask(url: str, secret: str) -> int:
    """Have the model say something; the tokens that took."""
    with OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as sdk:
        answer = sdk.completions.create(model=MODEL, prompt="Once", max_tokens=5)
    assert answer.usage is not None
    return answer.usage.total_tokens


def test_a_key_opens_the_server_from_its_making_to_its_end(
    guarded_url: str, keys_file: Path
) -> None:
    with pytest.raises(AuthenticationError):
        ask(guarded_url, "sk-nobody")
    secret = make_key(keys_file, "alice")
    assert ask(guarded_url, secret) > 0
    remove_key(keys_file, "alice")
    with pytest.raises(AuthenticationError):
        ask(guarded_url, secret)


def test_a_key_is_counted_by_what_the_model_took(guarded_url: str, keys_file: Path) -> None:
    secret = make_key(keys_file, new_secret()[-8:].lower().strip("-_"), tokens_per_day=1000)
    took = ask(guarded_url, secret)
    response = httpx2.get(f"{guarded_url}/v1/models", headers={"x-api-key": secret})
    assert int(response.headers["x-ratelimit-remaining-tokens"]) == 1000 - took


def test_a_key_for_another_use_is_no_key_for_text(guarded_url: str, keys_file: Path) -> None:
    secret = make_key(keys_file, "bob", scopes=["embed"])
    with pytest.raises(PermissionDeniedError):
        ask(guarded_url, secret)
