"""Makes models of transformers' that are small enough for tests: random weights, a real tokenizer.

They say nothing sensible, but are computed as large ones are. Weights are wide apart, so that the
order in which 32-bit floats are added up decides no answer.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CONTEXT = 128
VOCABULARY = 400
UNUSED = 16
"""Rows of the models' embeddings behind the tokenizer's last token."""

END, TURN, TURN_END = "<|end|>", "<|turn|>", "<|turn_end|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|turn|>{{ message.role }}\n{{ message.content }}<|turn_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)

CORPUS = [
    "The ferry to the northern islands leaves at six in the morning.",
    "What is the capital of France? The capital of France is Paris.",
    "größer, schöner, älter: 東京 und 🌍",
    "One two three four five six seven eight nine ten.",
]


def make_gpt2(folder: Path) -> Path:
    """Learned positions, no chat template, as distilgpt2."""
    config = GPT2Config(
        vocab_size=VOCABULARY + UNUSED,
        n_positions=CONTEXT,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.3,
    )
    return _save(folder / "tiny-gpt2", GPT2LMHeadModel, config, make_tokenizer())


def make_llama(folder: Path) -> Path:
    """Rotary positions, grouped keys, a chat template that writes the BOS token."""
    config = LlamaConfig(
        vocab_size=VOCABULARY + UNUSED,
        max_position_embeddings=CONTEXT,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.3,
    )
    tokenizer = make_tokenizer(adds_bos=True)
    tokenizer.chat_template = CHAT_TEMPLATE
    return _save(folder / "tiny-llama", LlamaForCausalLM, config, tokenizer)


def _save(folder: Path, kind: Any, config: Any, tokenizer: PreTrainedTokenizerFast) -> Path:
    torch.manual_seed(1)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(str(folder))
    return folder


def make_tokenizer(*, adds_bos: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level, as GPT-2's and Llama 3's."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, TURN, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS * 4, trainer)
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(f"{END} $A", None, [(END, 0)])
    make: Any = PreTrainedTokenizerFast  # has no types
    tokenizer: PreTrainedTokenizerFast = make(
        tokenizer_object=inner,
        bos_token=END,
        eos_token=TURN_END if adds_bos else END,
        additional_special_tokens=[TURN],
    )
    return tokenizer
