"""Text to fill in between two others, laid out in tokens as models are trained on it. Pure.

```
<repository>myproject⏎ <file>name⏎ its text ... <file>filename⏎ <prefix>... <suffix>... <middle>
```

The order is that of llama.cpp's server: what changes least stands first, so that a request made a
keystroke later shares all up to the cursor with the one before it. Where a window is cut, it moves
in steps for the same reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from llm_api.core.llm.types import ContextFile, FillInPrompt, FillInTokens

Tokens: TypeAlias = tuple[int, ...]
Tokenize: TypeAlias = Callable[[str], Tokens]

_PROJECT: Final = "myproject\n"
_THIS_FILE: Final = "filename\n"
_SNIPPET: Final = "\n\n--- snippet ---\n\n"
_LONG_TOKEN: Final = 16
"""Characters that tokens seldom have on average."""


def fill_in_tokens(
    prompt: FillInPrompt, marks: FillInTokens, tokenize: Tokenize, context_length: int
) -> Tokens:
    """The tokens of the prompt, without BOS. Raises what `tokenize` raises for a long text."""
    if prompt.is_windowed:
        return _windowed(prompt, marks, tokenize, context_length)
    files = [_file(file, marks, tokenize) for file in prompt.files]
    return _laid_out(files, tokenize(prompt.prefix), tokenize(prompt.suffix), marks, tokenize)


def _laid_out(
    files: Sequence[Tokens], prefix: Tokens, suffix: Tokens, marks: FillInTokens, tokenize: Tokenize
) -> Tokens:
    tokens: list[int] = []
    if marks.repository is not None:
        tokens += (marks.repository, *tokenize(_PROJECT))
    for file in files:
        tokens += file
    if marks.file is not None:
        tokens += (marks.file, *tokenize(_THIS_FILE))
    return (*tokens, marks.prefix, *prefix, marks.suffix, *suffix, marks.middle)


def _file(file: ContextFile, marks: FillInTokens, tokenize: Tokenize) -> Tokens:
    if marks.file is None:
        return (*tokenize(_SNIPPET), *tokenize(file.text))
    return (marks.file, *tokenize(f"{file.name}\n"), *tokenize(file.text))


def _windowed(
    prompt: FillInPrompt, marks: FillInTokens, tokenize: Tokenize, context_length: int
) -> Tokens:
    """What is nearest to the gap, in three quarters of the context: the rest is the answer's.

    The suffix has a quarter of that room, or what the prefix leaves of it.
    """
    overhead = len(_laid_out((), (), (), marks, tokenize))
    room = max(context_length * 3 // 4 - overhead, 0)
    step = max(room // 8, 1)
    near = _cut_text(prompt, _LONG_TOKEN * context_length)
    prefix, suffix = tokenize(near.prefix), tokenize(near.suffix)
    suffix = suffix[: max(room // 4, room - len(prefix))]
    prefix = prefix[_beginning(len(prefix), room - len(suffix), step) :]
    rest = (room - len(prefix) - len(suffix)) // step * step
    files: list[Tokens] = []
    for given in reversed(prompt.files):
        if len(given.text) > _LONG_TOKEN * rest:
            break
        file = _file(given, marks, tokenize)
        if len(file) > rest:
            break
        files.insert(0, file)
        rest -= len(file)
    return _laid_out(files, prefix, suffix, marks, tokenize)


def _cut_text(prompt: FillInPrompt, length: int) -> FillInPrompt:
    """Both texts of at most `length` characters: of more, not all would be looked at anyway."""
    beginning = _beginning(len(prompt.prefix), length, max(length // 4, 1))
    return replace(prompt, prefix=prompt.prefix[beginning:], suffix=prompt.suffix[:length])


def _beginning(length: int, room: int, step: int) -> int:
    """Where the last part of something begins that fits; a multiple of `step`, so it stays put."""
    over = max(length - room, 0)
    return min(-(-over // step) * step, length)
