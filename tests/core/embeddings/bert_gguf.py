"""Writes a BERT of sentence-transformers as a GGUF file, as llama.cpp's converter does."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import MODEL_ARCH, GGUFWriter, PoolingType, TokenType, get_tensor_name_map
from numpy.typing import NDArray
from safetensors.numpy import load_file

_NOT_NEEDED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def write_bert_gguf(
    folder: Path,
    path: Path,
    pooling: PoolingType = PoolingType.MEAN,
    head: Mapping[str, NDArray[np.float32]] | None = None,
) -> Path:
    """Matrices as f16, the rest as f32. `head` are the tensors of a classifier."""
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(path, "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_token_type_count(config["type_vocab_size"])
    _add_vocabulary(writer, (folder / "vocab.txt").read_text().splitlines())
    names = get_tensor_name_map(MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name not in _NOT_NEEDED:
            new_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert new_name is not None, name
            is_matrix = tensor.ndim > 1 and "embeddings" not in name
            writer.add_tensor(new_name, tensor.astype(np.float16 if is_matrix else np.float32))
    for name, tensor in (head or {}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: GGUFWriter, words: list[str]) -> None:
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([_phantom(word) if word not in special else word for word in words])
    writer.add_token_types(
        [TokenType.CONTROL if word in special else TokenType.NORMAL for word in words]
    )
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_uint32("tokenizer.ggml.cls_token_id", words.index("[CLS]"))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_mask_token_id(words.index("[MASK]"))


def _phantom(word: str) -> str:
    """Words begin with a space of their own kind, pieces within words with nothing."""
    return word[2:] if word.startswith("##") else f"\u2581{word}"
