"""Which files of a folder Git would leave out: `.gitignore` files on the way to them. Blocks.

Those above the folder count as well, up to the repository that it lies in. Knows nothing of
`.git/info/exclude` and of what a user ignores everywhere.
"""

from functools import cache
from pathlib import Path

from pathspec import GitIgnoreSpec


class Ignored:
    """What is ignored below `folder`."""

    def __init__(self, folder: Path) -> None:
        folder = folder.absolute()
        above = [folder, *folder.parents]
        top = next((number for number, path in enumerate(above) if (path / ".git").exists()), 0)
        self._top = above[top]
        self._rules = cache(_rules)

    def covers(self, path: Path, *, is_folder: bool = False) -> bool:
        """Whether a file or folder is ignored, whose own folder is not: the last rule decides."""
        path = path.absolute()
        is_ignored = False
        for folder in reversed([one for one in path.parents if one.is_relative_to(self._top)]):
            rules = self._rules(folder)
            if rules is not None:
                name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
                decided = rules.check_file(name).include
                is_ignored = is_ignored if decided is None else decided
        return is_ignored


def _rules(folder: Path) -> GitIgnoreSpec | None:
    try:
        text = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(text.splitlines())
