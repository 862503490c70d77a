"""opencode without its screen, told to write a file and to run a command, by chat completions."""

from typing import Final

from scripts.clients.case import FOLDER, Client, FailedError, Visit
from scripts.clients.coding import lay_out, seen
from scripts.clients.kits import NodeKit
from scripts.clients.script import CODING_TASK

CONFIG: Final = """\
{{
  "$schema": "https://opencode.ai/config.json",
  "model": "llm_api/{model}",
  "small_model": "llm_api/{model}",
  "autoupdate": false,
  "share": "disabled",
  "provider": {{
    "llm_api": {{
      "npm": "@ai-sdk/openai-compatible",
      "name": "llm_api",
      "options": {{"baseURL": "{base_url}", "apiKey": "{{env:LLM_API_KEY}}"}},
      "models": {{"{model}": {{"limit": {{"context": 24576, "output": 4096}}}}}}
    }}
  }}
}}
"""


def run(visit: Visit) -> str:
    """The file it wrote, and what it said. Raises FailedError."""
    settings = visit.sandbox.home / ".config" / "opencode"
    settings.mkdir(parents=True)
    config = CONFIG.format(model=visit.model, base_url=visit.base_url)
    (settings / "opencode.json").write_text(config)
    lay_out(visit.sandbox.work)
    done = visit.sandbox.run(
        [*visit.command, "run", CODING_TASK],
        visit.seconds,
        LLM_API_KEY="unused",
        OPENCODE_DISABLE_AUTOUPDATE="1",
        OPENCODE_DISABLE_LSP_DOWNLOAD="1",
        OPENCODE_DISABLE_MODELS_FETCH="1",
    )
    if done.status != 0:
        raise FailedError(done.last_words)
    return seen(visit.sandbox.work, done.output)


KIT: Final = NodeKit(
    FOLDER / "opencode", "opencode-ai", "node_modules/opencode-ai/bin/opencode.exe", is_native=True
)
OPENCODE: Final = Client(
    "opencode",
    KIT,
    run,
    sends=('"tool_call_id"', '"stream_options"'),
    runs_on_any_model=True,
    records_are_short=True,
)
