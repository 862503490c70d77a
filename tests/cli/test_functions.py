import json
import sys
from pathlib import Path

import pytest

from tests.cli.command import llm_api
from tests.core.functions.mcp_fakes import PEER

PLUGIN = '''
import sys, time
from llm_api.core.functions.registry import function_registry

@function_registry.register
def echo(value, count: int = 1, texts: list[str] = [], flag: bool = False, name: str = ""):
    """Give back what it gets.

    And more.
    """
    return [value, count, texts, flag, name]

@function_registry.register
def fail():
    raise ValueError("no such thing in /etc/passwd")

@function_registry.register(timeout_seconds=0.1)
def sleep():
    time.sleep(60)

@function_registry.register
def control():
    return "\\x1b[2J\\x9b[red]"
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to run in, with a good plugin and a broken one."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tools.py").write_text(PLUGIN)
    (tmp_path / "mine" / "broken.py").write_text("def f(:")
    return tmp_path


def call(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = llm_api(folder, "functions", "call", *arguments, FUNCTIONS_DIR="mine")
    return done.returncode, done.stdout, done.stderr


def test_the_list_tells_parameters_origins_and_purposes(folder: Path) -> None:
    done = llm_api(folder, "functions", "list", FUNCTIONS_DIR="mine")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "echo" in lines
    for cell in ("value [count] [texts] [flag] [name]", "tools.py", "Give back what it gets."):
        assert cell in lines["echo"]
    for cell in ("location [units]", "weather", "Tell the weather at a place now."):
        assert cell in lines["get_weather"]
    assert done.stderr == (
        "Not loaded: broken.py: SyntaxError: invalid syntax (broken.py, line 1)\n"
    )


def test_a_function_is_shown_as_a_model_is_told_of_it(folder: Path) -> None:
    done = llm_api(folder, "functions", "show", "echo", "--json", FUNCTIONS_DIR="mine")
    facts = json.loads(done.stdout)
    assert (facts["name"], facts["from"]) == ("echo", "tools.py")
    assert facts["parameters"]["required"] == ["value"]
    assert llm_api(folder, "functions", "show", "absent").returncode == 1


def test_a_function_is_called_with_pairs_or_with_json(folder: Path) -> None:
    expected = '{\n  "date": "2026-02-28",\n  "weekday": "Saturday"\n}\n'
    for arguments in (
        ["date=2026-01-31", "months=1"],
        ['{"date": "2026-01-31", "months": 1}'],
    ):
        assert call(folder, "add_to_date", *arguments) == (0, expected, "")


def test_a_pair_is_text_that_is_read_as_the_parameters_type(folder: Path) -> None:
    pairs = ["value=5", "count=7", 'texts=["a", "b"]', "flag=true", "name=a=b c"]
    assert json.loads(call(folder, "echo", *pairs)[1]) == ["5", 7, ["a", "b"], True, "a=b c"]
    assert json.loads(call(folder, "echo", "value=null")[1]) == [None, 1, [], False, ""]
    assert json.loads(call(folder, "echo", 'value={"a": [1]}')[1])[0] == {"a": [1]}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (["fail"], 1, "ValueError: no such thing in [path]"),
        (["sleep"], 1, "sleep gave no result within 0.1 seconds."),
        (["ech"], 1, "There is no function 'ech'; did you mean echo?"),
        (
            ["echo", "value=1", "count=x"],
            2,
            (
                "The arguments do not fit: count: Input should be a valid integer, unable to parse"
                " string as an integer. The parameters are: value, count, texts, flag, name."
            ),
        ),
        (
            ["echo", '{"value": '],
            2,
            "The arguments are no valid JSON: EOF while parsing a value at line 1 column 9.",
        ),
    ],
)
def test_a_call_without_result_ends_in_one_line(
    folder: Path, arguments: list[str], exit_code: int, line: str
) -> None:
    assert call(folder, *arguments) == (exit_code, "", f"Error: {line}\n")


@pytest.mark.parametrize("argument", ["value", "=1", "value=[1"])
def test_what_is_no_argument_is_a_usage_error(folder: Path, argument: str) -> None:
    exit_code, output, error = call(folder, "echo", argument)
    assert (exit_code, output) == (2, "")
    assert "Invalid value" in error


def test_a_result_cannot_control_the_terminal(folder: Path) -> None:
    exit_code, output, _ = call(folder, "control")
    assert exit_code == 0
    assert output == '"\\u001b[2J[red]"\n'


def test_a_folder_that_is_not_there_ends_in_one_line(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "functions", "list", FUNCTIONS_DIR="nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: FUNCTIONS_DIR: there is no folder 'nowhere'\n"


def test_tools_of_mcp_servers_are_listed_and_called(tmp_path: Path) -> None:
    servers = {"peer": {"command": sys.executable, "args": [PEER]}, "bad": {"command": "/nowhere"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    done = llm_api(tmp_path, "functions", "list", CONFIG_FILE="mcp.json")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    for cell in ("a [b]", "peer", "Add two numbers."):
        assert cell in lines["add"]
    assert done.stderr == (
        "Not loaded: bad: The MCP server cannot be used: FileNotFoundError:"
        " No such file or directory\n"
    )
    called = llm_api(tmp_path, "functions", "call", "add", '{"a": 2}', CONFIG_FILE="mcp.json")
    assert (called.returncode, json.loads(called.stdout), called.stderr) == (0, {"sum": 3}, "")
