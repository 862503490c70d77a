"""Fills the environment with packages: by uv, which takes a tenth of pip's time, or else by pip.

uv comes from the package index like everything else. It reads none of pip's configuration, so what
that says of indexes and constraints is handed to it: both install the same.
"""

import ast
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.setup.progress import Screen, run

_PINS: Final = ("-c", "constraints.txt")

# An option of pip, the variable by which uv knows it, and what stands between its values there.
_UV_NAMES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}
_SECTIONS: Final = ("global", "install", ":env:")  # the later goes before the earlier
_OPTION: Final = re.compile(r"^(global|install|:env:)\.\.?([a-z-]+)=('.*'|\".*\")$", re.MULTILINE)


class SetupFailed(Exception):  # noqa: N818 - it says what happened
    """A step failed. The message says in one line what to do."""


def uv_environment(pip_config: str, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with what `pip config list` says, in uv's words. Pure.

    What is set for uv itself stays. Like pip, uv takes the best version of all indexes.
    """
    said: dict[str, str] = {}
    options = sorted(_OPTION.findall(pip_config), key=lambda found: _SECTIONS.index(found[0]))
    for _, option, value in options:
        if option in _UV_NAMES:
            name, separator = _UV_NAMES[option]
            said[name] = separator.join(ast.literal_eval(value).split())
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **said, **environment}


class Installer:
    """Installs into the environment that `python` belongs to; logs lie in the folder `logs`."""

    def __init__(self, python: Path, logs: Path, screen: Screen) -> None:
        self.python = python
        self.pip = (python, "-m", "pip", "--disable-pip-version-check")
        self._logs = logs
        self._screen = screen
        self._uv = python.with_name("uv")
        self._uv_environment: dict[str, str] | None = None

    def prepare(self) -> None:
        """Fetches uv, unless SETUP_INSTALLER=pip. Where there is none to be had, pip installs."""
        if os.environ.get("SETUP_INSTALLER") == "pip":
            return
        if not self._uv.exists() and not self.run("uv", *self.pip, "install", *_PINS, "uv"):
            self._screen.say("uv cannot be had: pip installs, which takes longer.")
            return
        listing: list[str | Path] = [*self.pip, "config", "list"]
        config = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
        self._uv_environment = uv_environment(config, os.environ)

    def try_install(self, name: str, *arguments: str | Path) -> bool:
        """Whether uv, or else pip, installed what its `arguments` say."""
        install = ("install", *_PINS, *arguments)
        if self._uv_environment is not None:
            uv = (self._uv, "pip", *install, "--python", self.python)
            if self.run(name, *uv, environment=self._uv_environment):
                return True
        return self.run(name, *self.pip, *install)

    def install(self, name: str, *arguments: str | Path) -> None:
        """Raises SetupFailed."""
        if not self.try_install(name, *arguments):
            raise SetupFailed(
                f"{name}: not installed. The reason is at the end of {self.log(name)}; "
                "with the package index in reach, the same command goes on from here."
            )

    def run(
        self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> bool:
        """Whether a command succeeded that is shown, and has its log, as `name`."""
        return run(name, command, self.log(name), self._screen, environment)

    def log(self, name: str) -> Path:
        return self._logs / f"{name.replace(' ', '-')}.log"
