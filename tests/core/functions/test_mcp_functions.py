import json

import pytest

from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.mcp_functions import offered_name, open_mcp_servers
from llm_api.core.functions.mcp_servers import MCPServer, Program
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.types import FunctionSpec, Origin
from tests.core.functions.fakes import RemoteFunction
from tests.core.functions.mcp_fakes import script, stdio_peer


def catalog_with(*names: str) -> FunctionCatalog:
    catalog = FunctionCatalog()
    for name in names:
        catalog.add(RemoteFunction(spec=FunctionSpec(name, "", {})))
    return catalog


@pytest.mark.parametrize(
    ("tool", "server", "name"),
    [
        ("read_file", "files", "read_file"),
        ("taken", "files", "files_taken"),
        ("taken", "my files", "my_files_taken"),
        ("files.read/all ü", "files", "files_files_read_all__"),
        ("", "files", "files_"),
        ("a" * 64, "files", "a" * 64),
        ("a" * 65, "files", f"files_{'a' * 58}"),
    ],
)
def test_a_tool_keeps_its_name_or_gets_a_clean_one(tool: str, server: str, name: str) -> None:
    assert offered_name(tool, server, catalog_with("taken")) == name


async def test_tools_of_several_servers_become_functions() -> None:
    catalog = catalog_with("add")
    async with open_mcp_servers([stdio_peer("one"), stdio_peer("two")], catalog):
        functions = {function.spec.name: function for function in catalog.functions()}
        assert {"add", "one_add", "two_add", "say", "two_say"} <= functions.keys()
        assert functions["say"].origin == Origin("mcp", "one")
        assert functions["one_add"].spec.description == "Add two numbers."
        runner = FunctionRunner(timeout_seconds=5, result_bytes=1000)
        result = await runner.run(functions["two_add"], {"a": 2})
        assert json.loads(result.content) == {"sum": 3}
        odd = await runner.run(functions["one_files_read_all__"], "{}")
        assert json.loads(odd.content) == {"found": True}
    assert catalog.problems() == ()


async def test_a_name_that_cannot_be_made_unique_is_a_problem() -> None:
    catalog = catalog_with("add", "one_add")
    async with open_mcp_servers([stdio_peer("one")], catalog):
        assert [str(problem) for problem in catalog.problems()] == [
            "one: one_add is already taken by tests.py, which stays."
        ]
        assert "say" in catalog


async def test_a_server_that_cannot_be_used_is_a_problem_and_takes_nothing_down() -> None:
    catalog = FunctionCatalog()
    absent = MCPServer("absent", Program("/nowhere/at-all"), 5)
    silent = script("import time; time.sleep(60)", start_seconds=1.5)
    async with open_mcp_servers([absent, silent, stdio_peer()], catalog):
        assert [str(problem) for problem in catalog.problems()] == [
            "absent: The MCP server cannot be used: FileNotFoundError: No such file or directory",
            "script: The MCP server cannot be used: no answer within 1.5 seconds",
        ]
        assert "add" in catalog


async def test_a_call_that_takes_too_long_is_told_as_such() -> None:
    catalog = FunctionCatalog()
    server = MCPServer("peer", stdio_peer().address, 30, timeout_seconds=0.3)
    async with open_mcp_servers([server], catalog):
        result = await FunctionRunner(5, 1000).run(catalog.get("wait"), {"file": "/dev/null"})
        assert result.content == '{"error":"wait gave no result within 0.3 seconds."}'
