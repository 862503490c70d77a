"""Claude Code without its screen, told to write a file and to run a command, by Messages."""

from typing import Final

from scripts.clients.case import FOLDER, Client, FailedError, Visit
from scripts.clients.coding import lay_out, seen
from scripts.clients.kits import NodeKit
from scripts.clients.script import CODING_TASK


def run(visit: Visit) -> str:
    """The file it wrote, and what it said. Raises FailedError."""
    visit.sandbox.home.mkdir(parents=True)
    lay_out(visit.sandbox.work)
    done = visit.sandbox.run(
        [*visit.command, "-p", CODING_TASK, "--dangerously-skip-permissions"],
        visit.seconds,
        ANTHROPIC_BASE_URL=visit.root_url,
        ANTHROPIC_AUTH_TOKEN="unused",  # noqa: S106 - no secret: any text will do
        ANTHROPIC_MODEL=visit.model,
        API_TIMEOUT_MS="1200000",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_OUTPUT_TOKENS="4096",
        DISABLE_AUTOUPDATER="1",
        DISABLE_TELEMETRY="1",
        IS_SANDBOX="1",  # else it refuses `--dangerously-skip-permissions` to root
    )
    if done.status != 0:
        raise FailedError(done.last_words)
    return seen(visit.sandbox.work, done.output)


KIT: Final = NodeKit(
    FOLDER / "claude_code",
    "@anthropic-ai/claude-code",
    "node_modules/@anthropic-ai/claude-code/bin/claude.exe",
    is_native=True,
)
CLAUDE_CODE: Final = Client(
    "claude-code",
    KIT,
    run,
    sends=('"type":"tool_result"', '"signature"', '"role":"system"', "x-anthropic-billing-header"),
    runs_on_any_model=True,
    records_are_short=True,
)
