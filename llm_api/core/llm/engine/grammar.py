"""Constrained decoding: which tokens may come next, and which must. The one door of `llguidance`.

A grammar is a text in llguidance's notation. One matcher belongs to one sequence; the engine's
thread alone advances it. To a grammar control tokens are no text, but themselves (`<[123]>`).
"""

import ctypes
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.runner import ConstraintError
from llm_api.core.llm.json_schema import Place, deepest_refused, refusal
from llm_api.core.llm.output.gbnf import GBNFError, gbnf_to_lark, is_lark
from llm_api.core.llm.output.lark_size import size_problem
from llm_api.core.llm.types import JSON

_CONTROL = b"\xff"
"""llguidance's mark of a token that no text matches."""

_LIMITS: Final[Mapping[str, int | bool]] = {
    "initial_lexer_fuel": 500_000,
    "step_lexer_fuel": 50_000,
    "step_max_items": 5_000,
    "max_items_in_row": 1_000,
    "max_lexer_states": 50_000,
    "verbose_errors": False,
}
"""What a grammar may cost, to compile and at each token: a step makes everybody wait.

Measured with the default model's vocabulary: the worst grammars found take 0.4 s and 60 MiB to
compile, and 60 ms for a token. llguidance's own limits let a token take ten times as long.
"""

SEARCH_SECONDS: Final = 0.5
"""How long the deepest culprit in a schema is sought: less deep ones are named after that."""

COMPILER_STACK_BYTES: Final = 256 * 1024 * 1024
"""llguidance compiles a rule within the rule that names it, and ends the process where the stack
ends: at 8 MiB with 1,000 rules. Of this much, the largest grammar that is taken needs a quarter."""


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

        Raises InvalidRequestError that names `param`, for one that is too large as well.
        """
        try:
            lark = grammar if is_lark(grammar) else gbnf_to_lark(grammar)
        except GBNFError as error:
            raise InvalidRequestError(
                f"'{param}' is neither a Lark grammar nor one of llama.cpp: {error}.", param=param
            ) from error
        if problem := size_problem(lark):
            raise InvalidRequestError(
                f"The grammar in '{param}' is too large: {problem}.", param=param
            )
        return lark

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError for the deepest part of a schema that cannot be enforced."""
        if why := self.why_refused(dict(schema)):
            shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
            ends_at = time.monotonic() + SEARCH_SECONDS

            def why_refused(place: Place) -> str:
                if time.monotonic() > ends_at:
                    return ""
                part = place.schema
                return self.why_refused({**part, **shared} if isinstance(part, dict) else part)

            pointer, reason = deepest_refused(schema, why_refused)
            raise refusal(pointer, reason or why, param)

    def why_refused(self, schema: JSON) -> str:
        """Why a schema as a whole cannot be enforced; "" where it can. Blocks: milliseconds."""
        matcher = self._matcher(json.dumps({"grammars": [{"json_schema": schema}]}))
        return _reason(matcher) if matcher.is_error() else ""

    def _matcher(self, grammar: str) -> Any:
        library = _library()
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(library.LLTokenizer, self._model)
        limits = library.LLParserLimits(**_LIMITS)
        return library.LLMatcher(self._tokenizer, grammar, log_level=0, limits=limits)


def _library() -> Any:
    """llguidance, which only the first request that constrains needs.

    Its errors would carry a backtrace where RUST_BACKTRACE asks for one: taken at each of a
    thousand rules, it makes a refusal of milliseconds one of half a minute.
    """
    os.putenv("RUST_LIB_BACKTRACE", "0")
    import llguidance  # noqa: PLC0415

    return llguidance


_PLACE: Final = re.compile(r"^(?:at )?\d+\(\d+\): ")
_QUOTED_LINE: Final = re.compile(r"^ *\d+ \| (.*)")


def _reason(matcher: Any) -> str:
    """The compiler's complaint in one line, with the line of the grammar that it is about."""
    lines = str(matcher.get_error()).strip().splitlines()
    if not lines:
        return "it is empty"
    of_regex = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if of_regex:
        return of_regex[0].strip().rstrip(".")[:300]
    said = _PLACE.sub("", lines[0].strip()).rstrip(".:")[:300]
    caret = next((number for number, line in enumerate(lines) if line.strip() == "^"), 0)
    quoted = _QUOTED_LINE.match(lines[caret - 1]) if caret else None
    return f"{said}, in {quoted[1].strip()[:60]!r}" if quoted else said


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
