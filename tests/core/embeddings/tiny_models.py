"""Writes models that sentence-transformers can load, small enough for tests: random weights.

`write_adapted_model` has what jina-embeddings-v3 has, in miniature: code of its own in the
repository, adapters chosen by a `task` that reaches its `forward`, a prompt for each task, and
lengths it was trained for.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "rose", "over", "night"),
    *("query", "passage", ":", "##s"),
)
TASKS = ("retrieval.query", "retrieval.passage", "text-matching")
PROMPTS = {"retrieval.query": "query : ", "retrieval.passage": "passage : ", "text-matching": ""}
DIMENSION = 16
MAX_TOKENS = 24

CODE = '''\
"""As the `custom_st.py` of such repositories: a transformer whose task is an argument."""

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer


class Transformer(torch.nn.Module):
    save_in_root = True

    def __init__(self, model_name_or_path, max_seq_length=None, model_args=None, **kwargs):
        super().__init__()
        self.config = AutoConfig.from_pretrained(model_name_or_path)
        self.auto_model = AutoModel.from_pretrained(model_name_or_path, config=self.config)
        self.tokenizer = AutoTokenizer.from_pretrained(model_name_or_path)
        self.max_seq_length = max_seq_length or self.config.max_position_embeddings

    @classmethod
    def load(cls, input_path, **kwargs):
        return cls(input_path, max_seq_length=24)

    def forward(self, features, task=None):
        if task is not None and task not in self.config.lora_adaptations:
            raise ValueError(f"Unsupported task '{task}'.")
        tokens = self.auto_model(
            input_ids=features["input_ids"], attention_mask=features["attention_mask"]
        ).last_hidden_state
        if task is not None:
            tokens = tokens.roll(1 + self.config.lora_adaptations.index(task), dims=-1)
        return {**features, "token_embeddings": tokens}

    def get_word_embedding_dimension(self):
        return self.config.hidden_size

    def tokenize(self, texts, padding=True):
        return self.tokenizer(
            texts, padding=padding, truncation=True, max_length=self.max_seq_length,
            return_tensors="pt", return_token_type_ids=False,
        )
'''


def write_adapted_model(folder: Path, **configuration: object) -> Path:
    """A model with code of its own: `custom_st.Transformer`, pooling, normalisation."""
    extra = {
        **configuration,
        "lora_adaptations": list(TASKS),
        "matryoshka_dimensions": [4, 8, DIMENSION],
    }
    _write_transformer(folder, extra)
    (folder / "custom_st.py").write_text(CODE)
    _write_modules(folder, "custom_st.Transformer", kwargs=["task"])
    _write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": PROMPTS, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    return folder


def write_plain_model(folder: Path) -> Path:
    """A model of the kind that the default one is."""
    _write_transformer(folder, {"layer_norm_eps": 1e-5})
    _write_modules(folder, "sentence_transformers.models.Transformer", kwargs=[])
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS - 4})
    prompts = {"query": "query : "}
    _write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": "query", "similarity_fn_name": "cosine"},
    )
    return folder


def _write_transformer(folder: Path, extra: Mapping[str, object]) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=DIMENSION,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.5,
    )
    config.update(dict(extra))
    BertModel(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)


def _write_modules(folder: Path, first: str, kwargs: Sequence[str]) -> None:
    library = "sentence_transformers.models"
    _write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "transformer", "path": "", "type": first, "kwargs": list(kwargs)},
            {"idx": 1, "name": "pooling", "path": "1_Pooling", "type": f"{library}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{library}.Normalize"},
        ],
    )
    pooling = {"word_embedding_dimension": DIMENSION, "pooling_mode_mean_tokens": True}
    _write_json(folder / "1_Pooling" / "config.json", pooling)


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
