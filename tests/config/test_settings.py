import traceback
from pathlib import Path

import pytest
from pydantic import AnyHttpUrl

from llm_api.config.settings import ConfigurationError, Settings, load_settings

CONFIG = "llm_api.config."
NOT_UTF8 = b"\xff\xfe"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, and no `.env` in the working directory."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refusal(**overrides: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("model_repo_id", None),
        ("model_filename", None),
        ("model_path", None),
        ("model_aliases", ()),
        ("config_file", None),
        ("model_idle_seconds", None),
        ("model_memory", None),
        ("models_dir", Path("models")),
        ("llm_backend", "llama"),
        ("context_length", None),
        ("max_tokens", None),
        ("temperature", 0.2),
        ("n_threads", None),
        ("parallel", 8),
        ("max_queue", 64),
        ("functions_dir", None),
        ("function_timeout_seconds", 30),
        ("function_result_bytes", 65536),
        ("max_tool_rounds", 8),
        ("weather_geocoding_url", AnyHttpUrl("https://geocoding-api.open-meteo.com")),
        ("weather_forecast_url", AnyHttpUrl("https://api.open-meteo.com")),
        ("ollama_url", AnyHttpUrl("http://localhost:11434")),
        ("ollama_model", "llama2"),
        ("hf_mode", "local"),
        ("host", "127.0.0.1"),
        ("port", 8000),
        ("sse_ping_seconds", 15),
        ("log_level", "INFO"),
        ("log_file", Path("logs/log.jsonl")),
        ("log_max_bytes", 100_000_000),
        ("log_backups", 5),
        ("log_content", False),
        ("generate_max_tokens", 200),
        ("api_key", None),
        ("api_keys_file", None),
        ("allow_unauthenticated", False),
        ("allowed_hosts", ()),
        ("cors_origins", ()),
        ("key_requests_per_minute", None),
        ("key_tokens_per_minute", None),
        ("key_tokens_per_day", None),
        ("key_concurrency", None),
        ("redis_url", None),
        ("rate_limit_fail_open", False),
        ("max_body_bytes", 16 * 2**20),
        ("max_upload_bytes", 200_000_000),
        ("data_dir", Path("data")),
        ("qdrant_url", None),
        ("qdrant_api_key", None),
        ("qdrant_timeout_seconds", 10),
        ("qdrant_shard_number", None),
        ("qdrant_replication_factor", None),
        ("qdrant_host", None),
        ("qdrant_port", 6333),
        ("qdrant_use_memory", False),
        ("embedding_model_name", "all-MiniLM-L6-v2"),
        ("embedding_dimension", None),
        ("rag_top_k", 3),
        ("rag_score_threshold", None),
    ],
)
def test_default(name: str, default: object) -> None:
    assert getattr(load_settings(), name) == default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("PORT", "0", 0),
        ("PORT", "65535", 65535),
        ("CONTEXT_LENGTH", "64", 64),
        ("MAX_TOKENS", "1", 1),
        ("TEMPERATURE", "0", 0.0),
        ("TEMPERATURE", "2", 2.0),
        ("MAX_QUEUE", "0", 0),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LLM_BACKEND", "vLLM", "vllm"),
        ("HF_MODE", "Cloud", "cloud"),
        ("OLLAMA_URL", "http://10.0.0.1:11434", AnyHttpUrl("http://10.0.0.1:11434")),
        (
            "MODEL_ALIASES",
            "gpt-4o-mini, gpt-3.5-turbo,,gpt-4o-mini",
            ("gpt-4o-mini", "gpt-3.5-turbo"),
        ),
        ("MODEL_PATH", "~/x.gguf", Path.home() / "x.gguf"),
        ("QDRANT_USE_MEMORY", "true", True),
        ("QDRANT_URL", "https://qdrant:6333", AnyHttpUrl("https://qdrant:6333")),
        ("QDRANT_TIMEOUT_SECONDS", "0.5", 0.5),
        ("DATA_DIR", "~/x", Path.home() / "x"),
        ("RAG_SCORE_THRESHOLD", "-0.5", -0.5),
        ("HOST", " ::1 ", "::1"),
        ("MODEL_MEMORY", "8GB", 8_000_000_000),
        ("MODEL_MEMORY", "1 GiB", 2**30),
        ("API_KEYS_FILE", "~/keys.yaml", Path.home() / "keys.yaml"),
        ("CORS_ORIGINS", "https://a.example, http://b:1", ("https://a.example", "http://b:1")),
        ("MAX_BODY_BYTES", "1MiB", 2**20),
        ("MODEL_IDLE_SECONDS", "1", 1),
        ("FUNCTIONS_DIR", "/", Path("/")),
        ("FUNCTION_RESULT_BYTES", "64KiB", 65536),
        (
            "WEATHER_FORECAST_URL",
            "http://10.0.0.1:8080/api",
            AnyHttpUrl("http://10.0.0.1:8080/api"),
        ),
    ],
)
def test_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(load_settings(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("PORT", "abc", "PORT: must be a whole number between 0 and 65535, not 'abc'"),
        ("PORT", "65536", "PORT: must be a whole number between 0 and 65535, not '65536'"),
        ("PORT", "-1", "PORT: must be a whole number between 0 and 65535, not '-1'"),
        ("CONTEXT_LENGTH", "63", "CONTEXT_LENGTH: must be a whole number, at least 64, not '63'"),
        ("MAX_TOKENS", "0", "MAX_TOKENS: must be a whole number, at least 1, not '0'"),
        ("TEMPERATURE", "nan", "TEMPERATURE: must be a number between 0 and 2, not 'nan'"),
        ("TEMPERATURE", "2.1", "TEMPERATURE: must be a number between 0 and 2, not '2.1'"),
        ("N_THREADS", "auto", "N_THREADS: must be a whole number, at least 1, not 'auto'"),
        (
            "LOG_LEVEL",
            "loud",
            "LOG_LEVEL: must be DEBUG or INFO or WARNING or ERROR or CRITICAL, not 'LOUD'",
        ),
        (
            "LLM_BACKEND",
            "GPT",
            (
                "LLM_BACKEND: must be llama or openai or vllm or llama-server or ollama"
                " or huggingface or claude or markov or stub, not 'gpt'"
            ),
        ),
        ("HF_MODE", "moon", "HF_MODE: must be local or cloud, not 'moon'"),
        (
            "UPSTREAM_TOTAL_SECONDS",
            "0",
            "UPSTREAM_TOTAL_SECONDS: must be a number, at least 0.1, not '0'",
        ),
        ("HOST", "  ", "HOST: must be a text that is not empty, not '  '"),
        ("MODEL_MEMORY", "much", "MODEL_MEMORY: must be a size such as 8GB, not 'much'"),
        (
            "MODEL_IDLE_SECONDS",
            "0",
            "MODEL_IDLE_SECONDS: must be a whole number, at least 1, not '0'",
        ),
        ("FUNCTIONS_DIR", "nowhere", "FUNCTIONS_DIR: there is no folder 'nowhere'"),
        (
            "FUNCTION_TIMEOUT_SECONDS",
            "0",
            "FUNCTION_TIMEOUT_SECONDS: must be a whole number, at least 1, not '0'",
        ),
        (
            "FUNCTION_RESULT_BYTES",
            "1kB",
            "FUNCTION_RESULT_BYTES: must be a size such as 8GB, at least 1024, not '1kB'",
        ),
        (
            "WEATHER_FORECAST_URL",
            "ftp://example.org",
            (
                "WEATHER_FORECAST_URL: must be a URL such as https://example.org,"
                " not 'ftp://example.org'"
            ),
        ),
        ("MODEL_PATH", "~nobody-x/m", "MODEL_PATH: must be a path, not '~nobody-x/m'"),
        ("QDRANT_USE_MEMORY", "maybe", "QDRANT_USE_MEMORY: must be true or false, not 'maybe'"),
        (
            "QDRANT_SHARD_NUMBER",
            "0",
            "QDRANT_SHARD_NUMBER: must be a whole number, at least 1, not '0'",
        ),
        ("RAG_SCORE_THRESHOLD", "inf", "RAG_SCORE_THRESHOLD: must be a number, not 'inf'"),
        ("MODEL_REPO_ID", "a/b", "MODEL_FILENAME: must be set, since MODEL_REPO_ID is"),
        ("MODEL_FILENAME", "m.gguf", "MODEL_REPO_ID: must be set, since MODEL_FILENAME is"),
        (
            "API_KEY",
            "open sesame",
            "API_KEY: must be printable ASCII without spaces, to fit in a header",
        ),
        (
            "REDIS_URL",
            "http://:sesame@redis",
            "REDIS_URL: must begin with redis://, rediss:// or unix://",
        ),
        (
            "CORS_ORIGINS",
            "https://a.example,https://b.example/x",
            (
                "CORS_ORIGINS: must be origins such as https://chat.example, without a path,"
                " not 'https://b.example/x'"
            ),
        ),
        (
            "CORS_ORIGINS",
            "*",
            "CORS_ORIGINS: must be origins such as https://chat.example, without a path, not '*'",
        ),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/8,proxy",
            "TRUSTED_PROXIES: 'proxy' does not appear to be an IPv4 or IPv6 network",
        ),
        (
            "KEY_TOKENS_PER_DAY",
            "0",
            "KEY_TOKENS_PER_DAY: must be a whole number, at least 1, not '0'",
        ),
    ],
)
def test_bad_value_is_refused_in_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, line: str
) -> None:
    monkeypatch.setenv(name, text)
    assert refusal() == line


@pytest.mark.parametrize("other", ["MODEL_REPO_ID", "MODEL_FILENAME"])
def test_model_path_excludes_a_repository(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    monkeypatch.setenv("MODEL_PATH", "model.gguf")
    monkeypatch.setenv(other, "x")
    assert refusal().startswith("MODEL_PATH: must be unset when")


def test_a_server_of_vectors_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://qdrant:6333")
    monkeypatch.setenv("QDRANT_HOST", "qdrant")
    assert refusal() == "QDRANT_URL: must be unset when QDRANT_HOST is set, or the reverse"


def test_further_nodes_are_those_of_a_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_FURTHER_URLS", "http://a:1, http://b:2")
    assert refusal().startswith("QDRANT_FURTHER_URLS: needs QDRANT_URL or QDRANT_HOST")
    monkeypatch.setenv("QDRANT_HOST", "qdrant")
    further = load_settings().qdrant_further_urls
    assert further == (AnyHttpUrl("http://a:1"), AnyHttpUrl("http://b:2"))


def test_repository_and_file_name_go_together() -> None:
    settings = load_settings(model_repo_id="a/b", model_filename="m.gguf")
    assert (settings.model_repo_id, settings.model_filename) == ("a/b", "m.gguf")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "")
    assert load_settings() == Settings()
    assert name not in load_settings().model_fields_set


def test_override_wins_over_environment_and_environment_over_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("PORT=1\nMAX_TOKENS=2\nTEMPERATURE=1\n")
    monkeypatch.setenv("PORT", "3")
    monkeypatch.setenv("MAX_TOKENS", "4")
    settings = load_settings(port=5, temperature=None)
    assert (settings.port, settings.max_tokens, settings.temperature) == (5, 4, 1.0)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"PORTS=1", "PORTS: unknown setting in .env; did you mean PORT?"),
        (
            b"SOME_TOKEN=x",
            (
                "SOME_TOKEN: unknown setting in .env; "
                "what is meant for other programs belongs in the shell"
            ),
        ),
        (NOT_UTF8, ".env: is not UTF-8 text"),
    ],
)
def test_bad_file_is_refused(content: bytes, line: str) -> None:
    Path(".env").write_bytes(content)
    assert refusal() == line


def test_secret_is_neither_shown_nor_chained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "open sesame")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "sesame" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_long_bad_value_is_shortened() -> None:
    assert len(refusal(port="x" * 10_000)) < 200


def test_unknown_override_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="no such setting: prot"):
        load_settings(prot=1)


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_no_section_replaces_what_another_one_checks() -> None:
    sections = [kind for kind in Settings.__mro__ if kind.__module__.startswith(CONFIG)]
    owners = {
        name: [kind.__qualname__ for kind in sections if name in vars(kind)]
        for name in Settings.__pydantic_decorators__.model_validators
    }
    assert len(owners) > 3
    assert [found for found in owners.values() if len(found) != 1] == []
