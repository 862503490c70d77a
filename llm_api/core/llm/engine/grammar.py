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
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.runner import ConstraintError
from llm_api.core.llm.output.format_size import size_problem
from llm_api.core.llm.output.gbnf import GBNFError, gbnf_to_lark, is_lark
from llm_api.core.llm.output.schemas.places import Subschema, deepest_refused, refusal
from llm_api.core.llm.types import JSON

_CONTROL = b"\xff"
"""llguidance's mark of a token that no text matches."""

_LIMITS: Final[Mapping[str, int | bool]] = {
    "initial_lexer_fuel": 500_000,
    "step_lexer_fuel": 50_000,
    "step_max_items": 10_000,
    "max_items_in_row": 2_000,
    "max_lexer_states": 50_000,
    "verbose_errors": False,
}
"""What a grammar may cost, to compile and at each token: a step makes everybody wait.

Measured with the default model's vocabulary, of 70 families of hostile grammars: the worst takes
half a second and 150 MiB to compile, and 35 ms for a token. With llguidance's own limits it was
0.9 s for a token, and no end of it where text is forced.
"""

FIRST_SECONDS: Final = 0.2
SECONDS_PER_TOKEN: Final = 0.003
"""What following a grammar may take in all, for an answer of so many tokens. As a rule it takes a
twentieth of that."""

MAX_FORCED_TOKENS: Final = 64
"""In one step; what is forced beyond them is found in the next."""

MOST_BEGINNINGS: Final = 32
"""Where more tokens may come, not all of them are beginnings of one."""

RECENT_TOKENS: Final = 8
"""Tokens before a forced text that decide how it is divided."""

SEARCH_SECONDS: Final = 0.5
"""How long the deepest culprit in a schema is sought: less deep ones are named after that."""

COMPILER_STACK_BYTES: Final = 256 * 1024 * 1024
"""llguidance compiles a rule within the rule that names it, and ends the process where the stack
ends: at 8 MiB with 1,000 rules. Of this much, the largest grammar that is taken needs a quarter."""


class TokenMatcher:
    """Follows one answer through its grammar. See the protocol `Constraint`.

    It finds forced text itself, a bounded part at a time: llguidance goes to the end of it in one
    call, and a hundred characters of grammar can force millions. The length of the answer bounds
    the time of all calls together.
    """

    def __init__(
        self,
        matcher: Any,
        tokenizer: Any,
        model: LlamaModel,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._model = model
        self._clock = clock
        self._control = set(model.control_tokens.values()) | model.end_tokens
        self._mask = np.zeros((model.vocabulary_size + 31) // 32, dtype=np.uint32)
        self._known: tuple[bytes, NDArray[np.int32]] = b"", np.empty(0, dtype=np.int32)
        self._is_known = False  # whether that is what may come now
        self._recent: list[int] = []
        self._spent = 0.0
        self._allowance = FIRST_SECONDS

    def allowed(self) -> NDArray[np.int32]:
        began = self._clock()
        allowed = self._allowed()
        self._spend(began)
        return allowed

    def accept(self, token: int) -> None:
        began = self._clock()
        self._allowance += SECONDS_PER_TOKEN
        self._consume([token])
        self._remember([token])
        self._spend(began)

    def force(self) -> list[int]:
        began = self._clock()
        forced = self._force()
        self._allowance += SECONDS_PER_TOKEN * len(forced)
        self._remember(forced)
        self._spend(began)
        return [*forced, self._tokenizer.eos_token] if self._matcher.is_stopped() else forced

    def _allowed(self) -> NDArray[np.int32]:
        if self._is_known:
            return self._known[1]
        if self._matcher.is_error():
            raise ConstraintError
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        mask = self._mask.tobytes()
        if mask != self._known[0]:  # in free text it stays the same for many tokens
            bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
            tokens = np.flatnonzero(bits[: self._model.vocabulary_size]).astype(np.int32)
            self._known = mask, tokens
        if self._matcher.is_error() or not len(self._known[1]):
            raise ConstraintError
        self._is_known = True
        return self._known[1]

    def _force(self) -> list[int]:
        """The tokens of the forced text, as the model would write it."""
        text, steps = b"", 0
        while steps < MAX_FORCED_TOKENS and (token := self._forced()) is not None:
            self._consume([token])
            text += self._model.token_bytes(token)
            steps += 1
        if not steps:
            return []
        is_over = self._matcher.is_stopped()
        self._is_known = False
        if not self._matcher.rollback(steps):
            raise ConstraintError
        tokens: list[int]
        if is_over:
            tokens = self._tokenizer.tokenize_bytes(text)
        else:  # the last tokens may be part of one that is not forced any more
            tokens, _ = self._tokenizer.tokenize_partial(text, recent_tokens=self._recent)
        self._consume(tokens)
        return tokens

    def _forced(self) -> int | None:
        """The longest token that may come, if all others are its beginnings."""
        if self._matcher.is_stopped():
            return None
        allowed = self._allowed()
        if len(allowed) > MOST_BEGINNINGS:
            return None
        texts = {int(token): self._model.token_bytes(int(token)) for token in allowed}
        longest = max(texts, key=lambda token: len(texts[token]))
        is_forced = texts[longest] and self._control.isdisjoint(texts)
        return (
            longest if is_forced and all(map(texts[longest].startswith, texts.values())) else None
        )

    def _consume(self, tokens: list[int]) -> None:
        self._is_known = False
        if not self._matcher.consume_tokens(tokens):
            raise ConstraintError

    def _remember(self, tokens: list[int]) -> None:
        self._recent = [*self._recent, *tokens][-RECENT_TOKENS:]

    def _spend(self, began: float) -> None:
        self._spent += self._clock() - began
        if self._spent > self._allowance:
            raise ConstraintError


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
        constraint = TokenMatcher(matcher, self._tokenizer, self._model)
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

            def why_refused(place: Subschema) -> str:
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
