"""llama.cpp's own HTTP server, from the wheel `xllamacpp`, in a process of its own.

python -m tests.llama_server MODEL.gguf     prints its URL, serves until its input ends
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

CONTEXT_LENGTH = 1024
PARALLEL = 2
STOP_SECONDS = 10

TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call functions: {% for tool in tools %}{{ tool | tojson }} {% endfor %}
Call one as <tool_call>
{"name": name, "arguments": arguments}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""Hermes' form of calls: without a place for tools in its template the server leaves them out."""

IS_INSTALLED = find_spec("xllamacpp") is not None


@contextmanager
def llama_server(model: Path) -> Iterator[str]:
    """Serve `model` on a free port of this machine. Yields the base URL."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", __name__, str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise RuntimeError("llama.cpp's server did not start")
            yield url
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def main(model: str) -> None:
    """Load the model and serve it."""
    # Only here: the tests' own process has another llama.cpp in it.
    xllamacpp = import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = CONTEXT_LENGTH * PARALLEL
    parameters.n_parallel = PARALLEL
    parameters.chat_template = TEMPLATE
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
