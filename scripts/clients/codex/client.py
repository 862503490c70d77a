"""Codex in `exec` mode, told to write a file and to run a command.

Twice: as it is; and with a catalogue of models, by which it knows this one, so that it offers its
patches, a custom tool with a grammar, and with this server's functions as MCP tools, which it
brings in a namespace.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from scripts.clients.case import FOLDER, Client, FailedError, Visit
from scripts.clients.coding import lay_out, seen
from scripts.clients.kits import NodeKit
from scripts.clients.script import CODING_TASK, FULL_TASK

CONFIG: Final = """\
model = "{model}"
model_provider = "llm_api"
model_context_window = 24576

[model_providers.llm_api]
name = "llm_api"
base_url = "{base_url}"
env_key = "LLM_API_KEY"
wire_api = "responses"
stream_idle_timeout_ms = 1200000

[analytics]
enabled = false
"""
CATALOGUE: Final = """\
{{"models": [{{
  "slug": "{model}",
  "display_name": "{model}",
  "base_instructions": "You are a coding agent. Do what the user asks by calling tools.",
  "context_window": 24576,
  "shell_type": "unified_exec",
  "apply_patch_tool_type": "freeform",
  "supports_parallel_tool_calls": true,
  "supported_reasoning_levels": [],
  "support_verbosity": false,
  "experimental_supported_tools": [],
  "truncation_policy": {{"mode": "bytes", "limit": 10000}},
  "visibility": "list",
  "supported_in_api": true,
  "priority": 1
}}]}}
"""


def run(config: Callable[[Visit, Path], str], task: str, visit: Visit) -> str:
    """The file it wrote, and what it said. Raises FailedError."""
    home, work = visit.sandbox.home / ".codex", visit.sandbox.work
    home.mkdir(parents=True)
    (home / "config.toml").write_text(config(visit, home))
    lay_out(work)
    options = ["exec", "--strict-config", "--skip-git-repo-check", "-s", "danger-full-access"]
    last = visit.sandbox.folder / "last-message"
    done = visit.sandbox.run(
        [*visit.command, *options, "--output-last-message", str(last), task],
        visit.seconds,
        CODEX_HOME=str(home),
        LLM_API_KEY="unused",
    )
    if done.status != 0:
        raise FailedError(done.last_words)
    return seen(work, last.read_text() if last.exists() else "")


def plain_config(visit: Visit, home: Path) -> str:
    return CONFIG.format(model=visit.model, base_url=visit.base_url)


def full_config(visit: Visit, home: Path) -> str:
    """With a catalogue and MCP."""
    catalogue = home / "models.json"
    catalogue.write_text(CATALOGUE.format(model=visit.model))
    mcp = visit.root_url + "/mcp"
    return (
        f"model_catalog_json = {json.dumps(str(catalogue))}\n"
        f"{plain_config(visit, home)}\n"
        f'[mcp_servers.tools]\nurl = "{mcp}"\ndefault_tools_approval_mode = "approve"\n'
    )


KIT: Final = NodeKit(FOLDER / "codex", "@openai/codex", "node_modules/@openai/codex/bin/codex.js")
CODEX: Final = Client(
    "codex",
    KIT,
    partial(run, plain_config, CODING_TASK),
    sends=('"function_call_output"', '"namespace"'),
    runs_on_any_model=True,
)
CODEX_FULL: Final = Client(
    "codex-full",
    KIT,
    partial(run, full_config, FULL_TASK),
    sends=(
        '"custom_tool_call_output"',
        '"namespace":"mcp__tools"',
        '"method":"tools/call"',
        '"name":"goal_objective"',
    ),
    runs_on_any_model=True,
)
