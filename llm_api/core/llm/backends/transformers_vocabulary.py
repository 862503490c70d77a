"""A tokenizer of transformers' as the vocabulary of a model: text to tokens, tokens to bytes.

Bytes, because one token may hold half a character. They are known for the two kinds of tokenizer
that causal language models have: byte-level, where each character of a token stands for a byte,
and the kind of SentencePiece, where a token is text with `▁` for a space, or one byte `<0x0A>`.
"""

import copy
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.types import FillInTokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer
    from transformers import PreTrainedTokenizerBase

_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")


class TransformersVocabulary:
    """See the protocols `Tokenizer` and `Vocabulary`."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", vocabulary_size: int, end_tokens: frozenset[int]
    ) -> None:
        """`vocabulary_size` is that of the model, which may have more tokens than the tokenizer.

        Raises ModelFileError for a tokenizer of another kind.
        """
        self.vocabulary_size = vocabulary_size
        self.end_tokens = end_tokens
        self.bos_text = str(tokenizer.bos_token or "")
        self.eos_text = str(tokenizer.eos_token or "")
        self._parsing = _plain(tokenizer)
        self._literal = copy.deepcopy(self._parsing)
        self._literal.encode_special_tokens = True
        added = self._parsing.get_added_tokens_decoder()
        self._added = {token: str(text.content) for token, text in added.items()}
        self.control_tokens: Mapping[str, int] = {
            str(text.content): token for token, text in added.items() if text.special
        }
        self._control = frozenset(self.control_tokens.values())
        self.fill_in = _fill_in(self._added)
        self._to_bytes = _to_bytes(self._parsing)
        self._pieces: dict[int, bytes] = {}

    @property
    def longest_token(self) -> int:
        """No bound: what a tokenizer drops or calls unknown may be of any length."""
        return sys.maxsize

    @property
    def adds_bos(self) -> bool:
        return bool(self.tokenize("", add_special=True, parse_special=False))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokenizer = self._parsing if parse_special else self._literal
        return list(tokenizer.encode(text, add_special_tokens=add_special).ids)

    def piece(self, token: int) -> bytes:
        return b"" if token in self._control else self.token_bytes(token)

    def token_bytes(self, token: int) -> bytes:
        """As `piece`, but a control token shows its text; none for an id without a token."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._render(token)
        return piece

    def _render(self, token: int) -> bytes:
        if (text := self._added.get(token)) is not None:
            return text.encode()
        return self._to_bytes(self._parsing.id_to_token(token) or "")


_FILL_IN: Final = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", "<file_sep>"),
)
"""Texts of the marks that models with byte-level tokenizers have: Qwen's, and StarCoder's."""


def _fill_in(added: Mapping[int, str]) -> FillInTokens | None:
    tokens = {text: token for token, text in added.items()}
    for prefix, suffix, middle, repository, file in _FILL_IN:
        if {prefix, suffix, middle} <= tokens.keys():
            others = tokens.get(repository), tokens.get(file)
            return FillInTokens(tokens[prefix], tokens[suffix], tokens[middle], *others)
    return None


def _plain(tokenizer: "PreTrainedTokenizerBase") -> "FastTokenizer":
    """A copy of the tokenizer that neither pads nor cuts."""
    from tokenizers import Tokenizer as FastTokenizer  # noqa: PLC0415 - the model's, if any

    inner = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(inner, FastTokenizer):
        raise _unsupported(type(tokenizer).__name__)
    plain = copy.deepcopy(inner)
    plain.no_padding()
    plain.no_truncation()
    return plain


def _to_bytes(tokenizer: "FastTokenizer") -> Callable[[str], bytes]:
    """How a token's text stands for bytes. Raises ModelFileError where that is not known."""
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    kinds = {part["type"] for part in (decoder, *decoder.get("decoders", ()))} if decoder else set()
    if "ByteLevel" in kinds:
        return _byte_level
    if kinds & {"ByteFallback", "Metaspace"}:
        return _sentence_piece
    raise _unsupported(", ".join(sorted(kinds)) or "without a decoder")


def _byte_level(text: str) -> bytes:
    return bytes(_BYTES_OF_CHARACTERS[character] for character in text)


def _sentence_piece(text: str) -> bytes:
    if byte := _BYTE.fullmatch(text):
        return bytes([int(byte[1], 16)])
    return text.replace("▁", " ").encode()


def _characters_of_bytes() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others follow from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    characters = {chr(byte): byte for byte in printable}
    return characters | {chr(0x100 + place): byte for place, byte in enumerate(others)}


_BYTES_OF_CHARACTERS: Final = _characters_of_bytes()


def _unsupported(kind: str) -> ModelFileError:
    return ModelFileError(
        f"The model has a tokenizer of a kind that is not supported ({kind}); choose another model."
    )
