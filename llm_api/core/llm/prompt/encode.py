"""From a prompt to token ids: template, then vocabulary. Refuses what does not fit, never cuts.

`Tokenizer` is what this asks of a model's vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError
from llm_api.core.llm.prompt.carrying import Segment
from llm_api.core.llm.prompt.fill_in import fill_in_tokens
from llm_api.core.llm.prompt.template import ChatTemplate
from llm_api.core.llm.types import (
    ChatPrompt,
    FillInPrompt,
    FillInTokens,
    MarkedText,
    Prompt,
    TextPrompt,
    TokenPrompt,
)


class Tokenizer(Protocol):
    """A vocabulary and the control tokens its chat template is made of. Thread-safe."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids run from 0 to below this."""
        ...

    @property
    def longest_token(self) -> int:
        """An upper bound on the bytes that one token stands for."""
        ...

    @property
    def adds_bos(self) -> bool:
        """Whether `tokenize(add_special=True)` puts a BOS token before the text."""
        ...

    @property
    def bos_text(self) -> str:
        """The text of the BOS token; "" where the vocabulary has none."""
        ...

    @property
    def eos_text(self) -> str:
        """The text of the EOS token; "" where the vocabulary has none."""
        ...

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """The control tokens by their texts, which are parsed only where special tokens are."""
        ...

    @property
    def fill_in(self) -> FillInTokens | None:
        """What text between two others is asked for with; None for a model that cannot."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`.

        `add_special` lets the model add BOS or EOS as it is made to; `parse_special` turns the
        texts of control tokens into these tokens.
        """
        ...

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; none for a control token. Need not be whole UTF-8."""
        ...


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Token ids, and the text that the chat template made; "" for a raw prompt."""

    tokens: tuple[int, ...]
    text: str = ""


LONGEST_TEXT: Final = 1_000_000
"""Characters of which tokens are counted at once: two seconds, where they are all the same."""

_LONG_TOKEN: Final = 16
"""Characters that tokens seldom have on average."""


class PromptEncoder:
    """Encodes prompts for one model. Thread-safe; a call takes up to a second for long text."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        context_length: int,
        *,
        template_is_whole: bool = False,
    ) -> None:
        """`template_is_whole`: it writes every special token itself, and none is added to it."""
        self._tokenizer = tokenizer
        self._template = template
        self.context_length = context_length
        self._template_is_whole = template_is_whole

    @property
    def variables(self) -> frozenset[str]:
        """What the chat template reads beside the conversation."""
        return self._template.variables

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """At least one token, with room for one more in the context.

        Raises ContextLengthExceededError, or InvalidRequestError for an empty prompt, ids out
        of the vocabulary, or a conversation that the template refuses.
        """
        text = ""
        match prompt:
            case ChatPrompt():
                self._check_turns(prompt)
                tokens, text = self._encode_chat(prompt)
            case TextPrompt(raw):
                tokens = self._encode_segments([Segment(raw, is_literal=True)], "prompt")
            case TokenPrompt(ids):
                tokens = self.checked_ids(ids)
            case FillInPrompt():
                tokens = self._encode_fill_in(prompt)
            case other:
                assert_never(other)
        param = _param(prompt)
        if not tokens:
            raise InvalidRequestError("The prompt is empty.", param=param)
        if len(tokens) >= self.context_length:
            raise self._too_long(f"{len(tokens)} tokens", param)
        return EncodedPrompt(tokens, text)

    def extended(self, prompt: EncodedPrompt, text: str) -> EncodedPrompt:
        """A conversation with what the model might have written at the beginning of its answer.

        Raises ContextLengthExceededError.
        """
        added = self._tokenizer.tokenize(text, add_special=False, parse_special=True)
        tokens = (*prompt.tokens, *added)
        if len(tokens) >= self.context_length:
            raise self._too_long(f"{len(tokens)} tokens", "messages")
        return EncodedPrompt(tokens, prompt.text + text)

    def inner_tokens(self, text: str) -> tuple[int, ...]:
        """Tokens of a text in the midst of another, where none begins with a space of its own."""
        before, both = (
            self._tokenizer.tokenize(part, add_special=False, parse_special=True)
            for part in ("\n", f"\n{text}")
        )
        if both[: len(before)] == before:
            return tuple(both[len(before) :])
        return tuple(self._tokenizer.tokenize(text, add_special=False, parse_special=True))

    def tokenize(self, given: MarkedText | ChatPrompt) -> EncodedPrompt:
        """Whether they fit the context or not, up to twice as many of a conversation.

        Raises as `encode` does.
        """
        if isinstance(given, ChatPrompt):
            return EncodedPrompt(*self._encode_chat(given))
        if len(given.text) > LONGEST_TEXT:
            raise InvalidRequestError(
                f"The text has {len(given.text):,} characters, of {LONGEST_TEXT:,} at most."
            )
        tokens = self._tokenizer.tokenize(
            given.text, add_special=given.adds_special, parse_special=given.parses_special
        )
        return EncodedPrompt(tuple(tokens), given.text)

    def checked_ids(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The same ids. Raises InvalidRequestError where one is not in the vocabulary."""
        self._check_ids(ids)
        return tuple(ids)

    def close(self) -> None:
        """End what is being rendered; conversations cannot be encoded any more. Idempotent."""
        self._template.close()

    def count(self, text: str) -> int:
        """Tokens of a text by itself, as part of a prompt."""
        return len(self._tokenizer.tokenize(text, add_special=False, parse_special=False))

    def _encode_chat(self, prompt: ChatPrompt) -> tuple[tuple[int, ...], str]:
        segments = self._template.render(prompt)
        tokens = self._encode_segments(
            segments, "messages", adds_special=not self._template_is_whole
        )
        return tokens, "".join(segment.text for segment in segments)

    def _encode_fill_in(self, prompt: FillInPrompt) -> tuple[int, ...]:
        marks = self._tokenizer.fill_in
        if marks is None:  # capabilities say it better, where a model's are known
            raise InvalidRequestError("This model has no fill-in tokens.", param=prompt.param)

        def tokens(text: str) -> tuple[int, ...]:
            segments = [Segment(text, is_literal=True)]
            return self._encode_segments(segments, prompt.param, adds_special=False)

        opening = self._tokenizer.tokenize("", add_special=True, parse_special=False)
        bos = opening[: int(self._tokenizer.adds_bos)]
        return (*bos, *fill_in_tokens(prompt, marks, tokens, self.context_length - len(bos)))

    def _encode_segments(
        self, segments: list[Segment], param: str, *, adds_special: bool = True
    ) -> tuple[int, ...]:
        # A text that cannot fit however well it tokenises is refused without tokenising it.
        size = sum(len(segment.text.encode()) for segment in segments)
        if (least := size // self._tokenizer.longest_token) >= self.context_length:
            raise self._too_long(f"more than {least} tokens", param)
        tokens: list[int] = []
        for position, segment in enumerate(segments):
            self._check_beginning(segment, param)
            tokens += self._tokenizer.tokenize(
                segment.text,
                add_special=adds_special and position == 0 and not self._has_bos(segment),
                parse_special=not segment.is_literal,
            )
            # Of what is far too long, the rest is not looked at.
            if len(tokens) > 2 * self.context_length and segment is not segments[-1]:
                raise self._too_long(f"more than {len(tokens)} tokens", param)
        return tuple(tokens)

    def _check_beginning(self, segment: Segment, param: str) -> None:
        """Refuses a text that is far too long by its beginning: the whole would take a minute.

        Twice the context, because the cut may be in the midst of a word.
        """
        size = _LONG_TOKEN * self.context_length
        while size < len(segment.text):
            beginning = self._tokenizer.tokenize(
                segment.text[:size], add_special=False, parse_special=not segment.is_literal
            )
            if len(beginning) > 2 * self.context_length:
                raise self._too_long(f"more than {len(beginning)} tokens", param)
            size *= 2

    def _check_turns(self, prompt: ChatPrompt) -> None:
        """Refuses turns that cannot fit, without rendering them.

        A template may leave out parts of answers.
        """
        told = [turn.content.strip() for turn in prompt.messages if turn.role != "assistant"]
        longest = self._tokenizer.longest_token
        least = sum(max(1, len(text.encode()) // longest) for text in told if text)
        if least >= self.context_length:
            raise self._too_long(f"more than {least} tokens", "messages")

    def _has_bos(self, segment: Segment) -> bool:
        """Whether the template has written the BOS token that the vocabulary would add."""
        bos = self._tokenizer.bos_text
        is_written = not segment.is_literal and bool(bos) and segment.text.startswith(bos)
        return self._tokenizer.adds_bos and is_written

    def _check_ids(self, ids: Sequence[int]) -> None:
        size = self._tokenizer.vocabulary_size
        for position, token in enumerate(ids):
            if not 0 <= token < size:
                raise InvalidRequestError(
                    f"Token {token} at position {position} is not in the model's vocabulary"
                    f" of {size}.",
                    param="prompt",
                )

    def _too_long(self, length: str, param: str) -> ContextLengthExceededError:
        return ContextLengthExceededError(
            f"This model's maximum context length is {self.context_length} tokens, answer"
            f" included, and the prompt has {length}. Shorten it, or raise CONTEXT_LENGTH.",
            param=param,
        )


def _param(prompt: Prompt) -> str:
    match prompt:
        case ChatPrompt():
            return "messages"
        case FillInPrompt(param=param):
            return param
        case _:
            return "prompt"
