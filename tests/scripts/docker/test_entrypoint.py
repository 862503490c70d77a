"""The entry point of the image as a process: how it starts, how it refuses to, how it ends."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import httpx2
import pytest

from llm_api.core.llm.files.installed import default_model_path
from tests.core.llm.hub_stand_in import running_hub
from tests.core.llm.tiny_gguf import gguf_bytes
from tests.live import wait_until
from tests.scripts.docker.box import NOBODY, boxed, volume, why_no_box
from tests.scripts.docker.container import ENTRY_POINT, ROOT, Container, run, running

MODEL = default_model_path().stem


def stream(container: Container, max_tokens: int, lines: list[str]) -> threading.Thread:
    """Read a stream in a thread; returns once it has begun."""

    def read() -> None:
        body = {
            "model": MODEL,
            "prompt": "Once upon a time",
            "max_tokens": max_tokens,
            "ignore_eos": True,
            "stream": True,
        }
        with httpx2.stream(
            "POST", f"{container.url}/v1/completions", json=body, timeout=60
        ) as response:
            lines.extend(line for line in response.iter_lines() if line.startswith("data: "))

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: bool(lines), 30)
    return thread


def test_a_wrong_setting_ends_it_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", PORT="eighty")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: PORT:")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_model_ends_it_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", MODEL_PATH="/nowhere/model.gguf")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/nowhere/model.gguf" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_commands_run_as_well(tmp_path: Path) -> None:
    done = run(tmp_path, "functions", "call", "get_weekday", "date=2026-02-14")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Saturday" in done.stdout


@pytest.mark.parametrize(
    ("settings", "open_to", "hosts"),
    [
        ({"PUBLISHED_ON": "127.0.0.1"}, "true", "api,replica,gateway"),
        ({"PUBLISHED_ON": "127.0.0.1", "ALLOWED_HOSTS": "here"}, "true", "here"),
        ({"PUBLISHED_ON": "127.0.0.1", "API_KEY": "key"}, "", ""),
        ({"PUBLISHED_ON": "127.0.0.1", "API_KEYS_FILE": "keys.yaml"}, "", ""),
        ({"PUBLISHED_ON": "192.0.2.1"}, "", ""),
        ({}, "", ""),
    ],
)
def test_no_key_is_needed_only_where_the_port_is_published_on_loopback(
    tmp_path: Path, settings: dict[str, str], open_to: str, hosts: str
) -> None:
    stand_in = tmp_path / "llm-api"
    stand_in.write_text('#!/bin/sh\necho "$ALLOW_UNAUTHENTICATED;$ALLOWED_HOSTS;$*;$(umask)"\n')
    stand_in.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - our own script
        [ENTRY_POINT, "serve", "--port", "1"],
        env={"PATH": f"{tmp_path}:{os.defpath}", **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{open_to};{hosts};serve --port 1;0027\n"


def test_sigterm_lets_a_stream_finish_and_exits_0(tmp_path: Path) -> None:
    lines: list[str] = []
    with running(tmp_path, settings={"DRAIN_SECONDS": "60"}) as container:
        container.wait_until_ready()
        reading = stream(container, 60, lines)
        assert container.stop() == 0
        reading.join()
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"


def test_sigterm_ends_a_longer_stream_with_an_error_and_exits_0(tmp_path: Path) -> None:
    lines: list[str] = []
    with running(tmp_path, settings={"DRAIN_SECONDS": "0.2"}) as container:
        container.wait_until_ready()
        reading = stream(container, 1900, lines)
        assert container.stop() == 0
        reading.join()
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["type"] == "server_error"
    assert "data: [DONE]" not in lines


def test_sigterm_ends_a_download_at_the_start_and_exits_0(tmp_path: Path) -> None:
    with running_hub() as hub:
        hub.files["owner/name", "model.gguf"] = gguf_bytes() + bytes(8 * 1024 * 1024)
        hub.faults.seconds_per_chunk = 1
        settings = {
            "HF_ENDPOINT": hub.endpoint,
            "MODEL_REPO_ID": "owner/name",
            "MODEL_FILENAME": "model.gguf",
        }
        with running(tmp_path, settings=settings) as container:
            wait_until(lambda: hub.body_bytes_sent > 0, 30)
            began = time.monotonic()
            assert container.stop() == 0, container.log.read_text()
            assert time.monotonic() - began < 5


def test_it_serves_as_nobody_on_a_read_only_file_system() -> None:
    if reason := why_no_box():
        pytest.skip(reason)
    with volume() as folder, running(folder, wrapped=boxed(folder)) as container:
        container.wait_until_ready()
        body = {"model": MODEL, "prompt": "Hello", "max_tokens": 4}
        assert httpx2.post(f"{container.url}/v1/completions", json=body).status_code == 200
        status = Path(f"/proc/{container.process.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n" in status
        as_it_sees = Path(f"/proc/{container.process.pid}/root", *ROOT.parts[1:])
        with pytest.raises(OSError, match="Read-only file system"):
            (as_it_sees / "written").touch()
        assert container.stop() == 0
