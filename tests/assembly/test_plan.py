"""What is served is what was read at the start: each file is read once, and handed on."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.assembly.plan import plan
from llm_api.config.settings import ConfigurationError, load_settings
from tests.cli.command import environment
from tests.core.llm.tiny_gguf import write_gguf

MODELS = """
models: {a: {path: m.gguf}, b: {backend: stub}}
mcp_servers: {peer: {command: "false"}}  # a program that ends at once: nobody waits for it
"""

START = """
import json, os, signal, sys
from collections import Counter
from pathlib import Path

opened = Counter()
def count(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened[Path(arguments[0]).name] += 1
sys.addaudithook(count)

from llm_api.assembly.entrance import open_entrance
from llm_api.assembly.plan import plan
from llm_api.config.settings import load_settings
from llm_api.main import serve

def greet(greeting):
    print(json.dumps([list(greeting.models), opened["models.yaml"], opened["m.gguf"]]), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    settings = load_settings(config_file="models.yaml", port=0)
    serve(plan(settings).with_files(), open_entrance(settings), greet)
"""


def started(folder: Path, text: str, **variables: str) -> tuple[list[str], int, int]:
    """The models that a server serves, and how often it opened its YAML file and `m.gguf`."""
    (folder / "models.yaml").write_text(text)
    (folder / "start.py").write_text(START)
    write_gguf(folder / "m.gguf")
    printed = subprocess.check_output(
        [sys.executable, "start.py"], cwd=folder, env=environment(**variables), timeout=60
    )
    models, yaml, gguf = json.loads(printed)
    return models, yaml, gguf


def test_a_start_reads_the_configuration_and_the_header_of_a_model_once(tmp_path: Path) -> None:
    assert started(tmp_path, MODELS) == (["a", "b"], 1, 1)


def test_a_start_of_several_workers_reads_the_configuration_once(tmp_path: Path) -> None:
    text = "models: {a: {backend: stub}}"
    assert started(tmp_path, text, WORKERS="2") == (["a"], 1, 0)


def test_a_plan_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS)
    write_gguf(tmp_path / "m.gguf")
    planned = plan(load_settings(config_file=path)).with_files()
    path.unlink()
    assert pickle.loads(pickle.dumps(planned)) == planned  # noqa: S301 - our own
    assert planned.functions.mcp_servers[0].name == "peer"
    assert planned.configuration.keys() == {"settings", "models", "mcp_servers"}


def test_files_that_were_found_are_looked_for_by_nobody_again(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS)
    file = write_gguf(tmp_path / "m.gguf")
    planned = plan(load_settings(config_file=path)).with_files()
    file.unlink()
    assert planned.find_files() is planned.files
    assert planned.with_files() == planned
    assert replace(planned, files=None) == plan(load_settings(config_file=path))


def test_several_workers_are_refused_where_one_model_runs_in_this_process(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS)
    with pytest.raises(ConfigurationError, match="WORKERS: must be 1, not 2: a runs"):
        plan(load_settings(config_file=path, workers=2))


def test_database_whose_driver_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'llm_api\[postgresql\]'"):
        plan(load_settings(llm_backend="stub", database_url="postgresql://db/llm_api"))


def test_database_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL: must begin with postgresql://"):
        load_settings(database_url="mysql://db/llm_api")
