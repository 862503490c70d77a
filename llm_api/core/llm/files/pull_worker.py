"""Pulls one model in a process of its own, which `pull_process` starts and may kill at any time.

Its arguments are what to do, and where. It writes lines of JSON: `{"found": ...}` once it knows
what is to be transferred, and at its end `{"done": file}` or `{"error": [class, message]}`.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.files.download import RemoteFile, find_model, pull_model, require_space


def main() -> None:
    repo_id, filename, quantisation, folder, what = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if what == "find":
            _find(repo_id, filename or None, quantisation or None, Path(folder))
        else:
            path = pull_model(repo_id, filename, Path(folder), on_found=_found)
            _tell(done=str(path))
    except LLMAPIError as error:
        _tell(error=[type(error).__name__, error.message])


def _find(repo_id: str, filename: str | None, quantisation: str | None, folder: Path) -> None:
    filename, files = find_model(repo_id, filename, quantisation, folder)
    folder.mkdir(parents=True, exist_ok=True)
    require_space([file for file in files if not file.destination.exists()], folder)
    _found(files)
    _tell(done=filename)


def _found(files: Sequence[RemoteFile]) -> None:
    _tell(
        found=[
            [one.label, one.etag, one.size, str(one.partial), str(one.destination)] for one in files
        ]
    )


def _end_with_parent() -> None:
    """Its pipe closes however the server ends: then nobody waits for this any more."""
    sys.stdin.buffer.read()
    os._exit(1)


def _tell(**line: object) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - what the server reads


if __name__ == "__main__":
    main()
