import json
import shlex
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from llm_api.core.llm.files.installed import DEFAULT_MODEL_FILENAME
from tests.cli.command import environment, llm_api
from tests.core.llm.tiny_gguf import gguf_bytes, write_gguf


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"llm-api {version('llm_api')}\n")


@pytest.mark.parametrize("arguments", [["serve"], ["chat", "hello"], ["models", "list"]])
def test_a_bad_setting_ends_any_command_with_one_line_that_names_it(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = llm_api(tmp_path, *arguments, PORT="eighty")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "PORT" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["serve"], ["chat", "--local", "hello"]])
def test_a_truncated_model_ends_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    path = write_gguf(tmp_path / "cut.gguf", gguf_bytes()[:-1])
    done = llm_api(tmp_path, *arguments, MODEL_PATH=str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"{path} is truncated" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--config", "models.yaml"],
        ["chat", "--config", "models.yaml", "hello"],
        ["models", "list", "--config", "models.yaml"],
    ],
)
def test_a_bad_file_of_models_ends_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "models.yaml").write_text("models: [{name: a, default: true, parallel: 0}]")
    done = llm_api(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: models.yaml: models[0].parallel: must be a whole number between 1 and 128, not 0\n"
    )


def test_a_startup_model_that_cannot_be_loaded_ends_the_server_with_one_line(
    tmp_path: Path,
) -> None:
    write_gguf(tmp_path / "empty.gguf")  # a sound file, and no model that llama.cpp knows
    (tmp_path / "models.yaml").write_text(
        "models: [{name: good, default: true}, {name: bad, path: empty.gguf, load: startup}]"
    )
    done = llm_api(
        tmp_path, "serve", "--port", "0", CONFIG_FILE="models.yaml", LOG_LEVEL="CRITICAL"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "cannot load empty.gguf" in done.stderr


def test_a_public_address_without_a_key_ends_in_one_line(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - refused
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: HOST 0.0.0.0: anybody who reaches this address could use the server; set API_KEY or"
        " API_KEYS_FILE, or ALLOW_UNAUTHENTICATED=true\n"
    )


def test_a_port_that_is_taken_ends_in_one_line_before_a_model_is_looked_for(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = llm_api(tmp_path, "serve", "--port", str(port), MODEL_PATH="absent.gguf")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: PORT {port} of 127.0.0.1: another program listens there; end it, or set another"
        " PORT\n"
    )


def test_a_host_that_is_elsewhere_ends_in_one_line(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "serve", "--host", "192.0.2.1", MODEL_PATH="absent.gguf")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: HOST 192.0.2.1: is no address of this machine\n"


def test_a_server_that_no_terminal_shows_logs_json(tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--model-path", "absent.gguf")  # noqa: S104
    done = llm_api(tmp_path, "serve", *options, ALLOW_UNAUTHENTICATED="true")
    assert done.returncode == 1
    [line] = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert (line["logger"], line["level"]) == ("llm_api.assembly.entrance", "warning")
    assert line["message"].startswith("HOST 0.0.0.0: ")


def test_a_dimension_that_the_embedding_model_has_not_ends_the_start_in_one_line(
    tmp_path: Path,
) -> None:
    done = llm_api(tmp_path, "serve", "--port", "0", LLM_BACKEND="stub", EMBEDDING_DIMENSION="9999")
    assert (done.returncode, done.stdout) == (1, "")
    assert "all-MiniLM-L6-v2" in done.stderr.splitlines()[-1]
    assert "9999" in done.stderr.splitlines()[-1]


HEAVY = "fastapi huggingface_hub llama_cpp mcp numpy qdrant_client sqlalchemy torch uvicorn"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HOST": "0.0.0.0"}, "set API_KEY"),  # noqa: S104
        ({"MODEL_PATH": "absent.gguf"}, "no model file at absent.gguf"),
        ({"CONFIG_FILE": "absent.yaml"}, "absent.yaml"),
        ({"CONTEXT_LENGTH": "100000000"}, "CONTEXT_LENGTH"),
    ],
)
def test_what_keeps_a_server_from_starting_is_said_before_it_is_imported(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    program = f"""
import sys
from llm_api.cli.serve import serve
try:
    serve(port=0)
except Exception as error:
    print(error, sorted(set({HEAVY.split()}) - {{"numpy"}} & sys.modules.keys()))
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said in done.stdout
    assert done.stdout.endswith(" []\n")


def test_an_option_wins_over_the_environment(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "serve", "--model-path", "absent.gguf", MODEL_PATH="other.gguf")
    assert done.returncode == 1
    assert "no model file at absent.gguf" in done.stderr


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "sevre")
    assert done.returncode == 2
    assert "sevre" in done.stderr


def test_a_model_that_cannot_be_fetched_ends_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = llm_api(
            tmp_path,
            MODEL_REPO_ID="owner/name",
            MODEL_FILENAME="m.gguf",
            HF_ENDPOINT=endpoint,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"could not be fetched from {endpoint}" in done.stderr


def test_a_started_server_says_its_address_its_model_and_how_to_greet_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_api", "serve", "--port", "0", "--log-level", "ERROR"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = line.split()[0]
        claim, _, hello = line.partition(" Say hello: ")
        assert claim == f"{url} serves {DEFAULT_MODEL_FILENAME.removesuffix('.gguf')}."
        said = subprocess.run(  # noqa: S603 - the command it told us to type
            shlex.split(hello), cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
        assert said.stdout.strip()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.parametrize("module", ["llm_api", "llm_api.main"])
def test_without_a_command_the_options_are_those_of_serve(tmp_path: Path, module: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", module, "--port", "70000"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: PORT:")
