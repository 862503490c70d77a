from time import process_time

import pytest

from llm_api.core.errors import GenerationError
from llm_api.core.functions.one_line import MAX_CHARACTERS, describe, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cannot open /etc/passwd", "cannot open [path]"),
        ("cannot open '/home/ada/My Documents/x.txt'", "cannot open [path]"),
        ('cannot open "/x/y z": denied', "cannot open [path]: denied"),
        ("in /srv/app/a.py, line 3", "in [path], line 3"),
        ("(/srv/app/a.py)", "([path])"),
        ("path=/srv/app", "path=[path]"),
        ("~/notes and ~ada/notes", "[path] and [path]"),
        ("'~/my notes'", "[path]"),
        ("./x.txt ../y", "[path] [path]"),
        (r"C:\Users\ada\x.txt or D:/y", "[path] or [path]"),
        (r"'C:\My Documents\x'", "[path]"),
        (r"\\server\share\x", "[path]"),
        ("file:///etc/passwd", "[path]"),
        ("no module at llm_api/core/errors.py", "no module at [path]"),
        ("/a/b /c/d", "[path] [path]"),
        ("/root", "[path]"),
        ("http://127.0.0.1:8000/v1/models answered 404", None),
        ("https://example.org/a/b.html", None),
        ("Europe/Berlin or America/Argentina/Buenos_Aires", None),
        ("12 km/h and/or 1/2, on 14/02/2026", None),
        ("application/json", None),
        ("a / b", None),
        ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", None),
        ("it is 5: not 6", None),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("", ""),
    ],
)
def test_paths_and_newlines_are_taken_out_of_a_text(text: str, line: str | None) -> None:
    assert one_line(text) == (text if line is None else line)


def test_a_long_text_is_cut() -> None:
    line = one_line("x" * 10_000)
    assert len(line) == MAX_CHARACTERS
    assert line.endswith("…")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (SilentError(), "SilentError"),
        (
            FileNotFoundError(2, "No such file or directory", "secret"),
            "FileNotFoundError: No such file or directory",
        ),
        (OSError("no number"), "OSError: no number"),
        (SystemExit(3), "SystemExit: 3"),
        (GenerationError("Of our own."), "Of our own."),
    ],
)
def test_an_error_is_told_by_its_class_and_message(error: BaseException, line: str) -> None:
    assert describe(error) == line


@pytest.mark.parametrize("part", ["/", "a/", "'/", "a", "\\", "a.-", " ", "./", "http://"])
def test_a_hostile_text_takes_no_time(part: str) -> None:
    began = process_time()
    assert len(one_line(part * 1_000_000)) <= MAX_CHARACTERS
    assert process_time() - began < 0.5
