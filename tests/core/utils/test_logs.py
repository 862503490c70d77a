"""Lines that programs read, lines that people read, and what is in neither."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from llm_api.core.utils.logs import Seldom, current_request, formatter


def line(message: str, *args: object, is_terminal: bool = False) -> str:
    record = logging.LogRecord("llm_api.core", logging.WARNING, "file", 1, message, args, None)
    return formatter(is_terminal=is_terminal).format(record)


def parsed(text: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(text)
    return event


def test_a_program_gets_one_object_a_line() -> None:
    text = line("%s is\nunloaded", "a")
    assert "\n" not in text
    event = parsed(text)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"message": "a is\nunloaded", "level": "warning", "logger": "llm_api.core"}


def test_a_person_gets_a_line_without_quotes_and_braces() -> None:
    text = line("%s is unloaded", "a", is_terminal=True)
    assert text.count("\n") == 0
    for part in ("[warning", "a is unloaded", "[llm_api.core]"):
        assert part in text
    assert not {"{", '"', "\x1b"} & set(text)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_request_is_named_while_there_is_one(is_terminal: bool) -> None:
    token = current_request.set("req_1")
    try:
        during = line("hello", is_terminal=is_terminal)
    finally:
        current_request.reset(token)
    assert "req_1" in during
    assert "request_id" in during
    assert "request_id" not in line("hello", is_terminal=is_terminal)


@pytest.mark.parametrize("control", ["\x1b[2J", "\r", "\x07", "\n2026-01-01 [info] forged"])
def test_what_is_logged_cannot_write_lines_of_its_own(control: str) -> None:
    text = line("GET %s", f"/a{control}", is_terminal=True)
    assert not set("\x1b\r\x07\n") & set(text)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_traceback_shows_code_and_no_values(is_terminal: bool) -> None:
    prompt = "".join(["plan", "ted"])
    try:
        raise KeyError(len(prompt))
    except KeyError:
        record = logging.LogRecord(
            "llm_api", logging.ERROR, "file", 1, "failed", (), sys.exc_info()
        )
    text = formatter(is_terminal=is_terminal).format(record)
    assert "KeyError: 7" in text
    assert "raise KeyError(len(prompt))" in text
    assert prompt not in text


def test_what_ends_a_process_is_a_line_like_any_other() -> None:
    code = "from llm_api.core.utils.logs import configure_logs; configure_logs('INFO'); 1 / 0"
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    event = parsed(ended.stderr)
    assert (event["level"], event["message"]) == ("critical", "unhandled error")
    assert "ZeroDivisionError" in event["exception"]


def test_what_goes_on_is_told_once_in_a_while() -> None:
    now = 100.0
    seldom = Seldom(60, clock=lambda: now)
    assert seldom.is_due()
    now = 159.9
    assert not seldom.is_due()
    now = 160.0
    assert seldom.is_due()
    assert not seldom.is_due()
