"""An interpreter whose pip writes down its calls, and makes what it would download or build."""

import json
import sys
from pathlib import Path
from typing import Final

_PROGRAM: Final = """#!{python} -S
import io, json, pathlib, sys, tarfile
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
if words[:2] == ["-m", "pip"]:
    words = ["pip", *(word for word in words[2:] if word != "--disable-pip-version-check")]
else:
    words = [pathlib.Path(sys.argv[0]).name, *words]
with (folder / "calls").open("a") as calls:
    print(json.dumps(words), file=calls)
if {fails!r} and {fails!r} in " ".join(words):
    sys.exit("refused")
match words[:2]:
    case ["pip", "install"] if words[-1] == "uv":
        uv = folder / "bin" / "uv"
        uv.write_bytes(pathlib.Path(sys.argv[0]).read_bytes())
        uv.chmod(0o755)
    case ["pip", "download"]:
        target = pathlib.Path(words[words.index("--dest") + 1])
        target.mkdir(parents=True)
        with tarfile.open(target / "llama.tar.gz", "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("llama_cpp_python-1/pyproject.toml"), io.BytesIO())
    case ["pip", "wheel"]:
        target = pathlib.Path(words[words.index("--wheel-dir") + 1])
        target.mkdir(parents=True)
        (target / "llama_cpp_python-1-py3-none-any.whl").write_text("compiled")
"""


def make_python(folder: Path, fails: str = "") -> Path:
    """`bin/python` in `folder`. Calls that contain the text `fails` exit with 1."""
    python = folder / "bin" / "python"
    python.parent.mkdir(exist_ok=True)
    text = _PROGRAM.format(python=sys.executable, folder=str(folder), fails=fails)
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    return python


def calls_of(folder: Path) -> list[list[str]]:
    """How pip and uv were called, in order; `pip config list` left out."""
    lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
    calls: list[list[str]] = [json.loads(line) for line in lines]
    return [call for call in calls if call != ["pip", "config", "list"]]
