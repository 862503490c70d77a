from pathlib import Path

import pytest

from scripts.bench.contestants import ALL, Conditions, clean_environment, command

CONDITIONS = Conditions(Path("/m/model.gguf"), threads=3, context=1000, parallel=4, upstream_port=8)


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("ours", ["PARALLEL=4", "N_THREADS=3", "EMBEDDING_THREADS=3", "--context-length 1000"]),
        ("llama-server", ["--threads 3", "--parallel 4", "--ctx-size 4000"]),
        ("llama_cpp.server", ["--n_threads 3", "--n_threads_batch 3", "--n_ctx 1000"]),
        ("bare", ["model.gguf 3 1000 4"]),
    ],
)
def test_conditions_are_the_same_for_all(name: str, shared: list[str]) -> None:
    line = str(command(name, CONDITIONS, port=7))
    assert "/m/model.gguf" in line
    assert [words for words in shared if words not in line] == []


@pytest.mark.parametrize("name", [name for name in ALL if name != "bare"])
def test_servers_listen_on_loopback(name: str) -> None:
    assert "--host 127.0.0.1 --port 7" in str(command(name, CONDITIONS, port=7))


def test_the_plain_embedder_has_as_many_threads() -> None:
    assert "--threads 3" in str(command("plain encode()", CONDITIONS, port=7))


def test_unknown_contestant_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        command("vllm", CONDITIONS, port=7)


def test_settings_of_the_shell_do_not_reach_the_servers() -> None:
    kept = {"PATH": "/bin", "HOME": "/h"}
    settings = {"PARALLEL": "1", "LLAMA_ARG_THREADS": "9", "MODEL_PATH": "x", "EMBEDDING_URL": "x"}
    assert clean_environment(kept | settings) == kept
