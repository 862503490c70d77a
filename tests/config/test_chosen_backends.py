from pathlib import Path

import pytest

from llm_api.config.chosen_backends import ChosenBackend, ChosenReplica
from llm_api.config.chosen_models import ChosenModel, choose_models
from llm_api.config.settings import ConfigurationError, Settings, load_settings

REPLICAS = """
models:
  big:
    backend: vllm
    model: org/big
    api_key: k
    replicas:
      - {url: http://a:8000/v1, weight: 2}
      - {url: http://b:8000/v1, model: copy, api_key: "${REPLICA_KEY}"}
    first_token_seconds: 3
    total_seconds: 60
    context_length: 4096
    fallbacks: [small]
  small: {backend: ollama, aliases: [tiny]}
"""


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def chosen(text: str, **settings: object) -> list[ChosenModel]:
    Path("models.yaml").write_text(text, encoding="utf-8")
    return list(choose_models(load_settings(config_file="models.yaml", **settings)).models)


def refusal(text: str, **settings: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        chosen(text, **settings)
    return str(caught.value).removeprefix("models.yaml: ")


def keys_by_url(model: ChosenModel) -> dict[str, str | None]:
    return {
        replica.url: None if replica.api_key is None else replica.api_key.get_secret_value()
        for replica in model.backend.replicas
    }


@pytest.mark.parametrize(
    ("settings", "name", "url"),
    [
        (
            {"llm_backend": "openai", "openai_model": "gpt", "openai_api_key": "k"},
            "gpt",
            "https://api.openai.com/v1",
        ),
        (
            {"llm_backend": "vllm", "openai_model": "m", "openai_base_url": "http://a/v1"},
            "m",
            "http://a/v1",
        ),
        ({"llm_backend": "ollama"}, "llama2", "http://localhost:11434/"),
        (
            {"llm_backend": "claude", "claude_model": "c", "claude_api_key": "k"},
            "c",
            "https://api.anthropic.com",
        ),
        (
            {
                "llm_backend": "huggingface",
                "hf_mode": "cloud",
                "hf_model": "o/m",
                "hf_api_key": "k",
            },
            "o/m",
            "https://router.huggingface.co/v1",
        ),
    ],
)
def test_the_environment_alone_names_a_model_on_a_server(
    settings: dict[str, object], name: str, url: str
) -> None:
    [model] = choose_models(load_settings(**settings)).models
    assert (model.name, model.backend.kind) == (name, settings["llm_backend"])
    [replica] = model.backend.replicas
    assert (replica.url, replica.model, replica.weight) == (url, name, 1)
    assert (replica.api_key is None) == (not any("key" in setting for setting in settings))


@pytest.mark.parametrize("kind", ["stub", "markov"])
def test_a_toy_needs_no_setting_and_goes_by_its_name(kind: str) -> None:
    [model] = choose_models(load_settings(llm_backend=kind)).models
    assert (model.name, model.backend.kind, model.backend.replicas) == (kind, kind, ())
    assert not model.backend.is_engine


def test_transformers_in_this_process_are_an_engine() -> None:
    settings = load_settings(llm_backend="huggingface", hf_model="distilgpt2")
    [model] = choose_models(settings).models
    assert (model.name, model.backend.model) == ("distilgpt2", "distilgpt2")
    assert model.backend.is_engine


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"llm_backend": "openai"}, "OPENAI_MODEL: must be set, since LLM_BACKEND is openai"),
        (
            {"llm_backend": "openai", "openai_model": "m"},
            "OPENAI_API_KEY: must be set, since LLM_BACKEND is openai",
        ),
        (
            {"llm_backend": "vllm", "openai_model": "m"},
            "OPENAI_BASE_URL: must be set, since LLM_BACKEND is vllm",
        ),
        ({"llm_backend": "claude"}, "CLAUDE_MODEL: must be set, since LLM_BACKEND is claude"),
        ({"llm_backend": "huggingface"}, "HF_MODEL: must be set, since LLM_BACKEND is huggingface"),
        (
            {"llm_backend": "huggingface", "hf_model": "m", "hf_mode": "cloud"},
            "HF_API_KEY: must be set, since LLM_BACKEND is huggingface",
        ),
    ],
)
def test_what_is_missing_is_named(settings: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_models(load_settings(**settings))
    assert str(caught.value) == line


def test_a_server_of_one_s_own_needs_no_key() -> None:
    settings = load_settings(llm_backend="openai", openai_model="m", openai_base_url="http://a/v1")
    [model] = choose_models(settings).models
    assert keys_by_url(model) == {"http://a/v1": None}


def test_an_entry_names_replicas_limits_and_fallbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICA_KEY", "other")
    big, small = chosen(REPLICAS, upstream_total_seconds=99, upstream_first_token_seconds=9)
    first, second = big.backend.replicas
    assert keys_by_url(big) == {"http://a:8000/v1": "k", "http://b:8000/v1": "other"}
    assert (first.model, first.weight, second.model, second.weight) == ("org/big", 2, "copy", 1)
    assert (big.backend.first_token_seconds, big.backend.total_seconds) == (3, 60)
    assert (small.backend.first_token_seconds, small.backend.total_seconds) == (9, 99)
    assert big.settings.context_length == 4096
    assert big.backend.fallbacks == ("small",)
    assert small.backend.replicas == (ChosenReplica("http://localhost:11434/", "small"),)


def test_the_key_of_the_settings_is_sent_to_their_server_alone() -> None:
    text = """
models:
  a: {backend: openai}
  b: {backend: openai, url: http://elsewhere}
  c: {backend: openai, replicas: [{url: http://elsewhere}]}
"""
    models = chosen(text, openai_api_key="sesame")
    assert [list(keys_by_url(model).values()) for model in models] == [["sesame"], [None], [None]]


def test_the_backend_of_the_settings_holds_for_entries_that_name_none() -> None:
    [model] = chosen("models: {a: {}}", llm_backend="ollama")
    assert model.backend == ChosenBackend(
        "ollama", "a", (ChosenReplica("http://localhost:11434/", "a"),)
    )


@pytest.mark.parametrize("secret", ["sesame", "$sesame", "se}same"])
def test_a_key_may_stand_in_the_file(secret: str) -> None:
    text = f"models: {{a: {{backend: openai, url: http://x, api_key: '{secret}'}}}}"
    assert keys_by_url(chosen(text)[0]) == {"http://x/": secret}


def test_a_key_may_be_one_of_the_settings_wherever_it_comes_from() -> None:
    Path(".env").write_text("OPENAI_API_KEY=sesame\n")
    text = "models: {a: {backend: vllm, url: http://x, api_key: '${OPENAI_API_KEY}'}}"
    assert keys_by_url(chosen(text)[0]) == {"http://x/": "sesame"}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("{}", "models.a: must say where the model is by exactly one of path, repo_id with"),
        ("{path: x, default: true}", "models.a: must say where the model is by exactly one of"),
        ("{repo_id: o/r}", "models.a: must give repo_id and filename together"),
        ("{default: true, url: http://a}", "models.a.url: means nothing to the backend llama"),
        (
            "{backend: vllm, url: http://a, mmap: true}",
            "models.a.mmap: means nothing to the backend vllm",
        ),
        (
            "{backend: ollama, path: m.gguf}",
            "models.a.path: means nothing to the backend ollama",
        ),
        ("{backend: stub, model: m}", "models.a.model: means nothing to the backend stub"),
        ("{backend: openai, mode: cloud}", "models.a.mode: means nothing to the backend openai"),
        (
            "{backend: huggingface, url: http://a}",
            "models.a.url: means nothing to the backend huggingface in this process",
        ),
        (
            "{backend: huggingface, mode: cloud, load: startup}",
            "models.a.load: means nothing to the backend huggingface in the cloud",
        ),
        (
            "{backend: vllm, url: http://a, replicas: [{url: http://b}]}",
            "models.a: must give url or replicas, not both",
        ),
        ("{backend: vllm}", "models.a.url: must be given, since OPENAI_BASE_URL is unset"),
        ("{backend: openai}", "models.a.api_key: must be given, since OPENAI_API_KEY is unset"),
        (
            "{backend: openai, api_key: '${NOWHERE_KEY}'}",
            "models.a.api_key: the environment variable NOWHERE_KEY must be set",
        ),
        (
            "{backend: openai, replicas: [{url: http://a, api_key: 'Bearer ${KEY}'}]}",
            "models.a.replicas[0].api_key: must be a text, or ${NAME} and nothing else",
        ),
        ("{backend: stub, fallbacks: [b]}", "models.a.fallbacks[0]: no model is named 'b'"),
        ("{backend: stub, fallbacks: [a]}", "models.a.fallbacks: go in a circle: a → a"),
    ],
)
def test_bad_entry_is_refused_at_its_place(entry: str, line: str) -> None:
    assert refusal(f"models: {{a: {entry}}}").startswith(line)


def test_a_circle_of_fallbacks_is_refused_wherever_it_begins() -> None:
    text = """
models:
  a: {backend: stub, fallbacks: [b]}
  b: {backend: stub, fallbacks: [c]}
  c: {backend: stub, fallbacks: [bee], aliases: [x]}
  d: {backend: stub, fallbacks: [x]}
"""
    assert refusal(text.replace("bee", "bb")) == ("models.c.fallbacks[0]: no model is named 'bb'")
    assert refusal(text.replace("bee", "b")) == ("models.a.fallbacks: go in a circle: b → c → b")


def test_a_fallback_may_be_named_by_an_alias_and_the_same_twice_is_one() -> None:
    first, second = chosen(
        "models: {a: {backend: stub, fallbacks: [x, b]}, b: {backend: stub, aliases: [x]}}"
    )
    assert (first.backend.fallbacks, second.backend.fallbacks) == (("b",), ())


def test_the_stub_needs_no_entry_to_stand_in() -> None:
    first, stub = chosen("models: {a: {backend: ollama, fallbacks: [stub]}}")
    assert first.backend.fallbacks == ("stub",)
    assert (stub.name, stub.backend) == ("stub", ChosenBackend("stub"))
    [own] = chosen("models: {stub: {backend: markov}}")
    assert own.backend.kind == "markov"


def test_a_model_chosen_alone_has_nobody_to_stand_in() -> None:
    text = "models: {a: {backend: ollama, fallbacks: [stub]}}"
    Path("models.yaml").write_text(text)
    [model] = choose_models(load_settings(config_file="models.yaml")).only("a").models
    assert model.backend.fallbacks == ()
