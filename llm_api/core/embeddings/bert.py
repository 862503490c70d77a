"""A BERT that sentence-transformers saved: what its folder says, and its layers as ONNX models.

Only the plain kind: absolute positions, GELU, the mean of all tokens, length 1. Any other folder is
refused, as its vectors would be wrong.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llm_api.core.embeddings.onnx_graph import FLOAT, INT32, MICROSOFT, Graph
from llm_api.core.errors import ModelFileError

Array = NDArray[np.float32]
Weights = Mapping[str, Array]

_PLAIN: Final = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
}
_MODULES = ["Transformer", "Pooling", "Normalize"]
_MEAN = {"pooling_mode_mean_tokens"}
_DTYPES: Final = {"F32": "<f4", "F16": "<f2"}

HIDDEN, LENGTHS = "hidden", "lengths"
"""What the parts of a layer are given: the tokens' vectors, and the tokens of each text."""


@dataclass(frozen=True, slots=True)
class BertFolder:
    """What a folder's configuration says. `max_tokens` bounds a text, special tokens included."""

    path: Path
    layers: int
    heads: int
    width: int
    epsilon: float
    max_tokens: int
    prompts: Mapping[str, str]
    default_prompt: str


def read_folder(path: Path) -> BertFolder:
    """Blocks. Raises ModelFileError where it is no BERT of the plain kind."""
    try:
        return _read_folder(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path} holds no model that can be read here: {_reason(error)}."
            " EMBEDDING_BACKEND=sentence_transformers reads more kinds."
        ) from error


def read_weights(path: Path) -> Weights:
    """The tensors of `model.safetensors`, mapped into memory. Raises ModelFileError."""
    file = path / "model.safetensors"
    try:
        return dict(_tensors(np.memmap(file, np.uint8, "r")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{file} cannot be read: {_reason(error)}.") from error


def token_vectors(weights: Weights) -> tuple[Array, Array]:
    """By token, and by position; the latter with what every token of a lone text gets added."""
    positions = weights["embeddings.position_embeddings.weight"]
    return (
        weights["embeddings.word_embeddings.weight"],
        positions + weights["embeddings.token_type_embeddings.weight"][0],
    )


def parts(folder: BertFolder, weights: Weights) -> Iterator[bytes]:
    """The model as ONNX models, each of which takes what the one before gives.

    Every layer is two: attention, and what follows it.
    """
    for layer in range(folder.layers):
        yield _attention(folder, weights, layer)
        yield _feed_forward(folder, weights, layer)


def _attention(folder: BertFolder, weights: Weights, layer: int) -> bytes:
    graph, x, shape = _begin(folder)
    lengths = graph.input(LENGTHS, INT32, ["texts"])
    if layer == 0:
        norm = _pair(graph, weights, "embeddings.LayerNorm")
        x = graph.node("LayerNormalization", [x, *norm], epsilon=folder.epsilon)
    prefix = f"encoder.layer.{layer}.attention"
    three = [f"{prefix}.self.{name}" for name in ("query", "key", "value")]
    projected = [_product(graph, x, weights[f"{name}.weight"]) for name in three]
    bias = graph.weight(np.concatenate([weights[f"{name}.bias"] for name in three]))
    attended = graph.node(
        "MultiHeadAttention", [*projected, bias, lengths], MICROSOFT, num_heads=folder.heads
    )
    y = _added(graph, folder, weights, (attended, x), f"{prefix}.output")
    return graph.model({y: shape})


def _feed_forward(folder: BertFolder, weights: Weights, layer: int) -> bytes:
    graph, x, shape = _begin(folder)
    prefix = f"encoder.layer.{layer}"
    wide = _product(graph, x, weights[f"{prefix}.intermediate.dense.weight"])
    bias = graph.weight(weights[f"{prefix}.intermediate.dense.bias"])
    wide = graph.node("BiasGelu", [wide, bias], MICROSOFT)
    y = _added(graph, folder, weights, (wide, x), f"{prefix}.output")
    return graph.model({y: shape})


def _begin(folder: BertFolder) -> tuple[Graph, str, list[int | str]]:
    graph = Graph()
    shape: list[int | str] = ["texts", "tokens", folder.width]
    return graph, graph.input(HIDDEN, FLOAT, shape), shape


def _added(
    graph: Graph, folder: BertFolder, weights: Weights, pair: tuple[str, str], name: str
) -> str:
    """`name`'s product with the first of `pair`, added to the second and normalised."""
    inner, outer = pair
    product = _product(graph, inner, weights[f"{name}.dense.weight"])
    norm = _pair(graph, weights, f"{name}.LayerNorm")
    bias = graph.weight(weights[f"{name}.dense.bias"])
    return graph.node(
        "SkipLayerNormalization", [product, outer, *norm, bias], MICROSOFT, epsilon=folder.epsilon
    )


def _product(graph: Graph, x: str, matrix: Array) -> str:
    return graph.node("MatMul", [x, graph.weight(matrix.T)])


def _pair(graph: Graph, weights: Weights, name: str) -> list[str]:
    return [graph.weight(weights[f"{name}.{part}"]) for part in ("weight", "bias")]


def _read_folder(path: Path) -> BertFolder:
    config = _json(path / "config.json")
    for key, value in _PLAIN.items():
        if (found := config.get(key, value)) != value:
            raise ValueError(f"its {key} is {found}")
    types = [module["type"].rpartition(".")[2] for module in _json(path / "modules.json")]
    pooling = _json(path / "1_Pooling" / "config.json")
    modes = {key for key, on in pooling.items() if key.startswith("pooling_mode") and on}
    if types != _MODULES or modes != _MEAN:
        raise ValueError("it makes its vectors otherwise than as the mean, of length 1")
    limit = _json(path / "sentence_bert_config.json").get("max_seq_length")
    said = path / "config_sentence_transformers.json"
    library = _json(said) if said.exists() else {}
    prompts = {name: text for name, text in library.get("prompts", {}).items() if text}
    return BertFolder(
        path=path,
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        width=int(config["hidden_size"]),
        epsilon=float(config["layer_norm_eps"]),
        max_tokens=min(int(limit or 1 << 30), int(config["max_position_embeddings"])),
        prompts=prompts,
        default_prompt=prompts.get(library.get("default_prompt_name") or "", ""),
    )


def _tensors(data: NDArray[np.uint8]) -> Iterator[tuple[str, Array]]:
    """The format: https://github.com/huggingface/safetensors#format."""
    size = int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8 : 8 + size]))
    header.pop("__metadata__", None)
    for name, said in header.items():
        if said["dtype"] in _DTYPES:
            begin, end = said["data_offsets"]
            stored = data[8 + size + begin : 8 + size + end].view(_DTYPES[said["dtype"]])
            yield name, stored.reshape(said["shape"]).astype(np.float32, copy=False)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
