"""Constrained decoding: which tokens may come next, and which must. The one door of `llguidance`.

A grammar is a text in llguidance's notation. One matcher belongs to one sequence; the engine's
thread alone advances it. To a grammar control tokens are no text, but themselves (`<[123]>`).
"""

import ctypes
import json
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.runner import ConstraintError
from llm_api.core.llm.json_schema import Place, deepest_refused, refusal
from llm_api.core.llm.types import JSON

_CONTROL = b"\xff"
"""llguidance's mark of a token that no text matches."""


class TokenMatcher:
    """Follows one answer through its grammar. See the protocol `Constraint`."""

    def __init__(self, matcher: Any, vocabulary_size: int, end_token: int) -> None:
        self._matcher = matcher
        self._end_token = end_token
        self._mask = np.zeros((vocabulary_size + 31) // 32, dtype=np.uint32)
        self._vocabulary_size = vocabulary_size
        self._known: tuple[bytes, NDArray[np.int32]] = b"", np.empty(0, dtype=np.int32)

    def allowed(self) -> NDArray[np.int32]:
        if self._matcher.is_error():
            raise ConstraintError
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        mask = self._mask.tobytes()
        if mask != self._known[0]:  # in free text it stays the same for many tokens
            bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
            tokens = np.flatnonzero(bits[: self._vocabulary_size]).astype(np.int32)
            self._known = mask, tokens
        if self._matcher.is_error() or not len(self._known[1]):
            raise ConstraintError
        return self._known[1]

    def accept(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise ConstraintError

    def force(self) -> list[int]:
        forced: list[int] = self._matcher.compute_ff_tokens()
        if not self._matcher.consume_tokens(forced):
            raise ConstraintError
        return [*forced, self._end_token] if self._matcher.is_stopped() else forced


class GrammarCompiler:
    """Compiles grammars for one model's vocabulary. Thread-safe."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._tokenizer: Any = None

    def compile(self, grammar: str, param: str) -> TokenMatcher:
        """A matcher at the beginning of the answer. Blocks: milliseconds, longer the first time.

        Raises InvalidRequestError that names `param` for a grammar that is wrong or too large.
        """
        matcher = self._matcher(grammar)
        constraint = TokenMatcher(matcher, self._model.vocabulary_size, self._tokenizer.eos_token)
        reason = _reason(matcher) if matcher.is_error() else ""
        try:
            constraint.allowed()
        except ConstraintError as error:
            raise InvalidRequestError(
                f"The grammar in '{param}' cannot be enforced:"
                f" {reason or 'no text satisfies it, or it is too complex'}.",
                param=param,
            ) from error
        return constraint

    def to_lark(self, grammar: str, param: str) -> str:
        """A grammar in llama.cpp's notation (GBNF) in that of Lark; one in Lark's as it is.

        Raises InvalidRequestError that names `param`.
        """
        from llguidance.gbnf_to_lark import any_to_lark  # noqa: PLC0415

        try:
            return str(any_to_lark(grammar))
        except Exception as error:  # foreign code, which raises bare exceptions
            reason = str(error).partition("\n")[0][:300]
            raise InvalidRequestError(
                f"'{param}' is neither a Lark grammar nor one of llama.cpp: {reason}", param=param
            ) from error

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError for the deepest part of a schema that cannot be enforced."""
        if why := self._why_refused(dict(schema)):
            shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}

            def why_refused(place: Place) -> str:
                part = place.schema
                return self._why_refused({**part, **shared} if isinstance(part, dict) else part)

            pointer, reason = deepest_refused(schema, why_refused)
            raise refusal(pointer, reason or why, param)

    def _why_refused(self, schema: JSON) -> str:
        matcher = self._matcher(json.dumps({"grammars": [{"json_schema": schema}]}))
        return _reason(matcher) if matcher.is_error() else ""

    def _matcher(self, grammar: str) -> Any:
        import llguidance  # noqa: PLC0415 - needed only by the first request that constrains

        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(llguidance.LLTokenizer, self._model)
        limits = llguidance.LLParserLimits(verbose_errors=False)
        return llguidance.LLMatcher(self._tokenizer, grammar, log_level=0, limits=limits)


def _reason(matcher: Any) -> str:
    """The compiler's complaint, its last line: what stands before quotes the grammar."""
    lines = str(matcher.get_error()).strip().splitlines()
    return lines[-1].strip().removeprefix("error: ").rstrip(".")[:300] if lines else "it is empty"


def _tokenizer(kind: Any, model: LlamaModel) -> Any:
    """The vocabulary for llguidance: the bytes of each token, those of control tokens marked."""
    control = set(model.control_tokens.values())
    tokens = [
        _CONTROL + model.token_bytes(token) if token in control else model.token_bytes(token)
        for token in range(model.vocabulary_size)
    ]
    return kind.from_llamacpp(
        tokens=tokens,
        vocab_ptr=model.vocabulary,
        tokenize_fptr=ctypes.cast(model.tokenize_function, ctypes.c_void_p).value,
        eos_token=sorted(model.end_tokens, key=lambda token: (token != model.eos_token, token)),
    )
