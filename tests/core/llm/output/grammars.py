"""Asks llguidance what a grammar accepts, with the default model's vocabulary."""

import warnings
from collections.abc import Mapping
from functools import cache

from llguidance import LLMatcher, LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab

from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.files.installed import default_model_path


@cache
def tokenizer() -> LLTokenizer:
    library = load_library()
    params = library.llama_model_default_params()
    params.vocab_only = True
    model = library.llama_model_load_from_file(str(default_model_path()).encode(), params)
    with warnings.catch_warnings():  # llguidance calls llama.cpp by older names
        warnings.simplefilter("ignore", DeprecationWarning)
        return lltokenizer_from_vocab(library.llama_model_get_vocab(model))


def tokens(text: str, control_tokens: Mapping[str, int]) -> list[int]:
    """`text` in tokens; the texts of control tokens become these."""
    for control, token in control_tokens.items():
        before, found, behind = text.partition(control)
        if found:
            return [*tokens(before, control_tokens), token, *tokens(behind, control_tokens)]
    return tokenizer().tokenize_str(text)


class Grammar:
    """A compiled grammar. Fails where llguidance does not take it."""

    def __init__(self, text: str | None, control_tokens: Mapping[str, int] | None = None) -> None:
        assert text is not None
        self._matcher = LLMatcher(tokenizer(), text, log_level=0)
        assert self._matcher.get_error() == ""
        self._control_tokens = control_tokens or {}

    def begins(self, text: str) -> bool:
        """Whether an answer may begin so."""
        return self._count(text) == len(tokens(text, self._control_tokens))

    def accepts(self, text: str) -> bool:
        """Whether this is a whole answer."""
        return self.begins(text) and self._matcher.is_accepting()

    def forces(self, text: str) -> str:
        """What must follow `text`."""
        assert self.begins(text)
        return self._matcher.compute_ff_bytes().decode()

    def _count(self, text: str) -> int:
        self._matcher.reset()
        return self._matcher.try_consume_tokens(tokens(text, self._control_tokens))
