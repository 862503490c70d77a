"""What the client has to know of the model: its tokens, and which of them end a text."""

from dataclasses import dataclass
from pathlib import Path

from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from scripts.bench.prompts import Prompts, single_token_words

COMMON_TOKENS = 20_000
"""Words are taken from the first tokens of a vocabulary: the commonest come first."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    prompts: Prompts
    end_tokens: tuple[int, ...]

    @property
    def ban_on_ending(self) -> dict[str, float]:
        """`logit_bias` that keeps an answer from ending before its limit."""
        return {str(token): -100.0 for token in self.end_tokens}


def read_vocabulary(path: Path) -> Vocabulary:
    """Load the model for its vocabulary alone. Blocks. Raises ModelFileError, ValueError."""
    model = LlamaModel(path, ModelOptions())

    def tokenize(text: str) -> list[int]:
        return model.tokenize(text, add_special=False, parse_special=False)

    common = range(min(model.vocabulary_size, COMMON_TOKENS))
    words = single_token_words([model.piece(token) for token in common], tokenize)
    return Vocabulary(Prompts(words, tokenize), tuple(sorted(model.end_tokens)))
