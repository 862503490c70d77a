r"""What went wrong, in one line that may leave this machine.

Covers: newlines, length, and what looks like a path: `/a/b`, `~/a`, `C:\a`, `./a`, `a/b.py`, in
quotes also with spaces in it. Does not cover: secrets that an author puts into a message, URLs, and
relative paths without an extension, which look like `Europe/Berlin`.
"""

import re

from llm_api.core.errors import LLMAPIError

MAX_CHARACTERS = 500
_MAX_READ = 4000  # the time that the pattern takes grows with the square

_PATH_OR_URL = re.compile(
    r"""
    (?P<url> \b (?!file:) [a-z][a-z0-9+.-]* :// [^\s'"]* )
    | file:// [^\s'"]*
    | (?P<quote>['"]) (?: ~ | \.\.? | [A-Za-z]: )? [/\\] [^'"\n]* (?P=quote)
    | (?<![\w/.~-]) (?: ~\w* | \.\.? )? / [^\s'"<>|:;,()\[\]]+
    | \b [A-Za-z]: [\\/] [^\s'"<>|:;,()\[\]]+
    | \\\\ \w [^\s'"<>|:;,()\[\]]*
    | (?<![\w/.-]) [\w.-]+ (?: / [\w.-]+ )* / [\w-]+ \. [A-Za-z]\w{0,7} \b (?![./-])
    """,
    re.VERBOSE,
)


def one_line(text: str) -> str:
    """The text without newlines and paths, bounded. Pure."""
    words = " ".join(text[:_MAX_READ].split())
    line = _PATH_OR_URL.sub(lambda found: found["url"] or "[path]", words)
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"


def describe(error: BaseException) -> str:
    """The error's class and message as one line; of an error of our own the message. Pure."""
    if isinstance(error, LLMAPIError):
        return one_line(error.message)
    # An OSError's whole text holds the file's name.
    message = error.strerror if isinstance(error, OSError) and error.strerror else _message(error)
    return one_line(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an author's `__str__` may raise whatever it likes
        return ""
