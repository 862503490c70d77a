"""Tokens as bytes, for the two kinds of tokenizer that are supported."""

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.backends.transformers_vocabulary import TransformersVocabulary
from tests.core.llm.tiny_transformers import TURN, make_tokenizer


def wrapped(inner: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    make: Any = PreTrainedTokenizerFast  # has no types
    tokenizer: PreTrainedTokenizerFast = make(tokenizer_object=inner, **names)
    return tokenizer


def sentence_piece() -> PreTrainedTokenizerFast:
    """As Llama 2's: spaces written as `▁`, unknown characters as bytes."""
    pieces = ["<unk>", "</s>", "▁the", "▁", "t", "h", "e", *(f"<0x{n:02X}>" for n in range(256))]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    merges = [("t", "h")]
    vocabulary["th"] = len(vocabulary)
    inner = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return wrapped(inner, eos_token="</s>", unk_token="<unk>")


def vocabulary_of(tokenizer: PreTrainedTokenizerFast) -> TransformersVocabulary:
    return TransformersVocabulary(tokenizer, len(tokenizer), frozenset())


TEXTS = ["the the", "größer 東京 🌍", "line\nline\ttab", " \x00\x7f\u00a0\u00ad"]


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_of_byte_level_tokens_add_up_to_the_text(text: str) -> None:
    vocabulary = vocabulary_of(make_tokenizer())
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(map(vocabulary.piece, tokens)) == text.encode()


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_of_sentence_pieces_add_up_to_the_text(text: str) -> None:
    vocabulary = vocabulary_of(sentence_piece())
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(map(vocabulary.piece, tokens)) == b" " + text.encode()


def test_control_tokens_are_parsed_only_where_they_may_be() -> None:
    vocabulary = vocabulary_of(make_tokenizer())
    turn = vocabulary.control_tokens[TURN]
    assert vocabulary.tokenize(TURN, add_special=False, parse_special=True) == [turn]
    assert turn not in vocabulary.tokenize(TURN, add_special=False, parse_special=False)
    assert vocabulary.piece(turn) == b""
    assert vocabulary.token_bytes(turn) == TURN.encode()


@pytest.mark.parametrize("adds_bos", [True, False])
def test_beginning_is_marked_where_the_tokenizer_does(adds_bos: bool) -> None:
    vocabulary = vocabulary_of(make_tokenizer(adds_bos=adds_bos))
    assert vocabulary.adds_bos is adds_bos
    plain = vocabulary.tokenize("the", add_special=False, parse_special=False)
    marked = vocabulary.tokenize("the", add_special=True, parse_special=False)
    assert marked == ([0, *plain] if adds_bos else plain)


def test_id_without_a_token_has_no_bytes() -> None:
    assert vocabulary_of(make_tokenizer()).piece(99_999) == b""


def test_tokenizer_of_another_kind_is_refused() -> None:
    inner = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1}, unk_token="<unk>"))
    with pytest.raises(ModelFileError, match="tokenizer"):
        vocabulary_of(wrapped(inner, unk_token="<unk>"))
