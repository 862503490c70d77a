from pathlib import Path

import pytest

from llm_api.config.config_file import load_config_file
from llm_api.config.mcp_servers import DEFAULT_START_SECONDS
from llm_api.config.settings import ConfigurationError
from llm_api.core.functions.mcp_servers import Endpoint, MCPServer, Program

SECRET = "s3cret"


def servers(folder: Path, text: str) -> list[MCPServer]:
    path = folder / "servers.yaml"
    path.write_text(text, encoding="utf-8")
    entries = load_config_file(path).mcp_servers
    return [entry.server(name, folder) for name, entry in entries.items()]


def test_servers_are_programs_or_endpoints(tmp_path: Path) -> None:
    found = servers(
        tmp_path,
        """
mcp_servers:
  files: {command: npx, args: [-y, server-files], env: {TOKEN: s3cret}, cwd: work}
  search: {url: "https://example.org/mcp", headers: {Authorization: Bearer s3cret},
           start_seconds: 5, timeout_seconds: 60}
""",
    )
    program = Program("npx", ("-y", "server-files"), {"TOKEN": SECRET}, tmp_path / "work")
    endpoint = Endpoint("https://example.org/mcp", {"Authorization": "Bearer s3cret"})
    assert found == [
        MCPServer("files", program, DEFAULT_START_SECONDS),
        MCPServer("search", endpoint, 5, 60),
    ]
    assert SECRET not in repr(found)


def test_the_json_that_other_programs_have_is_read_as_it_is(tmp_path: Path) -> None:
    text = """
{
  "mcpServers": {
    "files": {"type": "stdio", "command": "uvx", "args": ["server-files"]},
    "search": {"type": "http", "url": "http://127.0.0.1:9/mcp"}
  }
}
"""
    assert servers(tmp_path, text) == [
        MCPServer("files", Program("uvx", ("server-files",)), DEFAULT_START_SECONDS),
        MCPServer("search", Endpoint("http://127.0.0.1:9/mcp"), DEFAULT_START_SECONDS),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mcp_servers: []", "mcp_servers: must be a mapping from names to servers"),
        ("mcp_servers:", "mcp_servers: must be a mapping from names to servers"),
        ("mcp_server: {}", "mcp_server: unknown key; did you mean mcp_servers?"),
        (
            "mcp_servers: {5: {command: b}}",
            "mcp_servers.5: the name must be a text that is not empty",
        ),
        (
            "mcp_servers: {a: {command: b, env: {5: c}}}",
            "mcp_servers.a.env[5]: the name must be a text that is not empty",
        ),
        ("mcp_servers: {a: npx}", "mcp_servers.a: must be a mapping of keys"),
        ("mcp_servers: {a: {}}", "mcp_servers.a: must give exactly one of command and url"),
        (
            "mcp_servers: {a: {command: b, url: 'http://c'}}",
            "mcp_servers.a: must give exactly one of command and url",
        ),
        (
            "mcp_servers: {a: {command: b, headers: {C: d}}}",
            "mcp_servers.a: headers goes with url, not with command",
        ),
        (
            "mcp_servers: {a: {url: 'http://c', env: {C: d}}}",
            "mcp_servers.a: env goes with command, not with url",
        ),
        (
            "mcp_servers: {a: {command: b, type: http}}",
            "mcp_servers.a: type http does not go with command",
        ),
        (
            "mcp_servers: {a: {url: 'http://c', type: sse}}",
            "mcp_servers.a.type: must be stdio or http or streamable-http, not 'sse'",
        ),
        (
            "mcp_servers: {a: {url: example.org}}",
            "mcp_servers.a.url: must be a URL such as https://example.org",
        ),
        (
            "mcp_servers: {a: {command: b, arg: [c]}}",
            "mcp_servers.a.arg: unknown key; did you mean args?",
        ),
        (
            "mcp_servers: {a: {command: b, start_seconds: 0.5}}",
            "mcp_servers.a.start_seconds: must be a number, at least 1, not 0.5",
        ),
        ("mcp_servers: {a: {command: b, args: c}}", "mcp_servers.a.args: must be a list"),
        ("mcp_servers: {a: {command: b, env: c}}", "mcp_servers.a.env: must be a mapping"),
        (
            "mcp_servers: {a: {command: b, env: {PORT: 80}}}",
            "mcp_servers.a.env.PORT: must be a text, in quotes where it looks like something else",
        ),
        ("mcpServers: {a: {command: b, args: [1]}}", "mcpServers.a.args[0]: must be a text"),
    ],
)
def test_a_bad_server_is_refused_in_one_line_that_names_the_place(
    tmp_path: Path, text: str, line: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        servers(tmp_path, text)
    assert str(caught.value).startswith(f"servers.yaml: {line}")


@pytest.mark.parametrize(
    "entry",
    [
        "{command: b, env: {A: [s3cret]}}",
        "{command: b, args: {c: s3cret}}",
        "{url: 'http://c', headers: {A: [s3cret]}}",
        '{url: "http://c", headers: {A: "s3cret\\n!"}}',
        '{url: "http://c", headers: {A: "s3crét"}}',
        "{url: 'nothttp://s3cret'}",
        "{url: 'http://c', headers: {A: s3cret}, arg: 5}",
        "{headers: {A: s3cret}, env: {B: s3cret}}",
    ],
)
def test_no_secret_is_shown_where_something_is_wrong(tmp_path: Path, entry: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        servers(tmp_path, f"mcp_servers: {{a: {entry}}}")
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET[:4] not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
