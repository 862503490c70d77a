"""The process in which files are parsed: files in on stdin, texts out on stdout, until stdin ends.

Messages are a line of JSON and then as many bytes as it says. The server never unpickles an answer:
a parser that a hostile file has taken over can lie about the text, and do no more to the server.

Covers: memory, time, a crash, and what the environment holds, which this process does not get.
Does not cover: files and network, which it may reach as the server's user.
"""

import io
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.types import TextSection
from llm_api.core.utils.isolation import limit_memory

_GRACE_SECONDS = 5
_NICENESS = 10
_MAX_SECTIONS = 100_000
_SECTIONS_IN_A_LINE = 1000
"""The server parses what comes back, line by line: no line may hold it up."""


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """What became of a file: its text, or a reason why there is none."""

    loaded: LoadedText | None = None
    reason: str = ""


def encode_request(data: bytes, name: str, charset: str = "") -> bytes:
    return _message({"name": name, "charset": charset}, data)


def encode_answer(answer: LoadOutcome) -> bytes:
    if answer.loaded is None:
        return _message({"reason": answer.reason}, b"")
    loaded = asdict(answer.loaded)
    text: str = loaded.pop("text")
    sections: Sequence[object] = loaded.pop("sections")
    starts = range(0, len(sections), _SECTIONS_IN_A_LINE)
    lines = (json.dumps(sections[start : start + _SECTIONS_IN_A_LINE]) for start in starts)
    listed = "\n".join(lines).encode()
    return _message({**loaded, "section_bytes": len(listed)}, listed + text.encode())


def decode_answer(header: bytes, body: bytes) -> LoadOutcome:
    """Blocks, without keeping the interpreter."""
    fields = json.loads(header)
    if "reason" in fields:
        return LoadOutcome(reason=fields["reason"])
    listed = int(fields["section_bytes"])
    sections = tuple(
        TextSection(section["start"], tuple(section["headings"]), section["page"])
        for line in body[:listed].splitlines()
        for section in json.loads(line)
    )
    return LoadOutcome(
        LoadedText(
            body[listed:].decode(),
            fields["title"],
            sections,
            fields["metadata"],
            tuple(str(warning) for warning in fields["warnings"]),
        )
    )


def size_of(header: bytes) -> int:
    """How many bytes follow this line."""
    size: int = json.loads(header)["size"]
    return size


def _message(header: dict[str, object], body: bytes) -> bytes:
    return json.dumps({**header, "size": len(body)}).encode() + b"\n" + body


def answer_file(data: bytes, name: str, limits: FileLimits, charset: str = "") -> LoadOutcome:
    """The border to the parsers: whatever they raise, the file is what was wrong."""
    try:
        loaded = load(data, name, limits, charset)
    except UnreadableFileError as error:
        return LoadOutcome(reason=error.message)
    except MemoryError:
        return LoadOutcome(reason="it takes more memory to read than is allowed")
    except RecursionError:
        return LoadOutcome(reason="it nests too deeply")
    except Exception as error:  # noqa: BLE001 - no parser lists what a broken file makes it raise
        return LoadOutcome(reason=f"it is damaged ({type(error).__name__})")
    if len(loaded.sections) > _MAX_SECTIONS:
        return LoadOutcome(reason=f"it has more than {_MAX_SECTIONS:,} headings")
    return LoadOutcome(loaded)


def serve(files: BinaryIO, answers: BinaryIO, limits: FileLimits) -> None:
    while header := files.readline():
        # Ends this process should the server be gone and never kill it; no code has to run for it.
        signal.alarm(math.ceil(limits.seconds) + _GRACE_SECONDS)
        request = json.loads(header)
        data = files.read(size_of(header))
        answer = answer_file(data, request["name"], limits, request["charset"])
        answers.write(encode_answer(answer))
        answers.flush()
        signal.alarm(0)


def main() -> None:
    limits = FileLimits(**json.loads(sys.argv[1]))
    limit_memory(limits.memory_bytes)
    if limits.ocr_seconds:  # it takes all cores for seconds: answers come first
        os.nice(_NICENESS)
    # Parsers print as they please: their words go to stderr and not among the answers.
    answers = io.FileIO(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, io.BufferedWriter(answers), limits)


if __name__ == "__main__":
    main()
