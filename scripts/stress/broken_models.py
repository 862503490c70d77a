"""Copies of the default model that are broken, each in its way."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from struct import pack, unpack
from typing import Final

from llm_api.core.llm.files.installed import default_model_path

MARK: Final = "stress-was-here"
"""The file that the hostile template would make."""

_TEMPLATE_KEY: Final = b"tokenizer.chat_template" + pack("<I", 8)
_HOSTILE: Final = (
    "{% for one in messages %}{{ one.content }}{% endfor %}"
    "{% for get in [cycler.__init__, lipsum] %}"
    f"{{{{ get.__globals__['os'].system('touch {MARK}') }}}}"
    "{% endfor %}"
)

TRIGGER: Final = "tick"
"""The word that the last template waits for."""
_LOOPS: Final = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
_SAYS_ALL: Final = "{% for one in messages %}{{ one.content }}{% endfor %}"
TEMPLATES: Final[Mapping[str, str]] = {
    "endless": _SAYS_ALL + _LOOPS,
    "hungry": _SAYS_ALL + "{{ '%1000000000d' % 1 }}",
    "doubling": _SAYS_ALL
    + "{% set all = namespace(text='ab') %}"
    + "{% for one in range(40) %}{% set all.text = all.text + all.text %}{% endfor %}",
    "waiting": _SAYS_ALL + f"{{% if '{TRIGGER}' in messages[0].content %}}{_LOOPS}{{% endif %}}",
}
"""Hostile to the machine: at every use, the last one when it is told the word."""


def _missing(path: Path) -> None:
    path.unlink()


def _truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def _flipped(path: Path) -> None:
    """Every bit of the counts and the first key turned round, the magic left as it is."""
    with path.open("r+b") as file:
        file.seek(8)
        flipped = bytes(byte ^ 0xFF for byte in file.read(64))
        file.seek(8)
        file.write(flipped)


def _with_template(template: str, path: Path) -> None:
    """Another chat template of the same length."""
    data = path.read_bytes()
    start = data.index(_TEMPLATE_KEY) + len(_TEMPLATE_KEY) + 8
    (length,) = unpack("<Q", data[start - 8 : start])
    with path.open("r+b") as file:
        file.seek(start)
        file.write(template.encode().ljust(length))


BREAK: Final[Mapping[str, Callable[[Path], None]]] = {
    "missing": _missing,
    "truncated": _truncated,
    "flipped": _flipped,
    "hostile": partial(_with_template, _HOSTILE),
    "endless": partial(_with_template, TEMPLATES["endless"]),
    "hungry": partial(_with_template, TEMPLATES["hungry"]),
}
"""A file that is not as it should be, in each way."""

_WAYS: Final[Mapping[str, Callable[[Path], None]]] = {
    **BREAK,
    **{kind: partial(_with_template, template) for kind, template in TEMPLATES.items()},
}
KINDS: Final = tuple(_WAYS)


def model_file(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.gguf"


def link_models(folder: Path) -> None:
    """A sound model under the name of each kind, for the server to look at when it starts."""
    for kind in KINDS:
        model_file(folder, kind).symlink_to(default_model_path())


def break_model(folder: Path, kind: str) -> Path:
    """Put the broken copy in the place of the sound one."""
    path = model_file(folder, kind)
    path.unlink(missing_ok=True)
    copy = path.with_suffix(".copy")
    shutil.copyfile(default_model_path(), copy)
    _WAYS[kind](copy)
    if copy.exists():
        copy.rename(path)
    return path
