"""Writes whole models small enough for tests: random weights, one token per byte.

They say nothing sensible, but llama.cpp computes them as it computes large ones, with each kind of
memory it has: attention, recurrent, both, attention through a sliding window. Weights are 32-bit
floats, so that the order in which rows are added up decides no answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from gguf import GGUFWriter, TokenType
from numpy.typing import NDArray

TRAINING_CONTEXT = 2048
WINDOW = 16
"""Tokens that the sliding-window model sees in three of its four layers."""

CONTROL_TOKENS = ("<unk>", "<s>", "</s>")
VOCABULARY = len(CONTROL_TOKENS) + 256

WIDTH = 64
INNER = 2 * WIDTH
FEED_FORWARD = 96
HEADS = 2
STATE = 8
CONVOLUTION = 4
TIME_STEP_RANK = 4

Hyperparameters: TypeAlias = dict[str, int | float | list[int]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Tensor name to shape, outermost dimension first: (rows out, columns in) for a matrix."""


@dataclass(frozen=True, slots=True)
class TinyModel:
    """An architecture of llama.cpp's with its dimensions. `write` makes a file of it."""

    architecture: str
    hyperparameters: Hyperparameters
    shapes: Shapes
    scales: Mapping[str, float] = field(default_factory=dict)

    def write(
        self,
        folder: Path,
        chat_template: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> Path:
        """Write the model, always the same bytes. `special_tokens` are `fim_pre` and the like."""
        path = folder / f"tiny-{self.architecture}.gguf"
        writer = GGUFWriter(path, self.architecture)
        _add_hyperparameters(writer, self.hyperparameters)
        _add_vocabulary(writer)
        for name, token in (special_tokens or {}).items():
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
        if chat_template is not None:
            writer.add_chat_template(chat_template)
        generator = np.random.default_rng(1)
        for name, shape in (_OUTER_SHAPES | self.shapes).items():
            writer.add_tensor(name, _weights(name, shape, generator, self.scales))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def byte_token(byte: int) -> int:
    """The token that stands for this byte, 0 to 255."""
    return len(CONTROL_TOKENS) + byte


def _add_hyperparameters(writer: GGUFWriter, values: Hyperparameters) -> None:
    common: Hyperparameters = {
        "context_length": TRAINING_CONTEXT,
        "embedding_length": WIDTH,
        "vocab_size": VOCABULARY,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    for key, value in (common | values).items():
        full_key = f"{writer.arch}.{key}"
        match value:
            case int():
                writer.add_uint32(full_key, value)
            case float():
                writer.add_float32(full_key, value)
            case list():
                writer.add_array(full_key, value)


def _add_vocabulary(writer: GGUFWriter) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*CONTROL_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256))])
    writer.add_token_scores([0.0] * VOCABULARY)
    control = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    writer.add_token_types([*control, *[TokenType.BYTE] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _weights(
    name: str,
    shape: tuple[int, ...],
    generator: np.random.Generator,
    scales: Mapping[str, float],
) -> NDArray[np.float32]:
    """Weights that let every token of a prompt matter for what follows."""
    if "norm" in name or name.endswith("ssm_d"):
        return np.ones(shape, dtype=np.float32)
    if name.endswith("ssm_a"):
        # A state decays by exp(time step x this): some of it lasts for hundreds of tokens.
        return np.broadcast_to(-np.geomspace(0.001, 1, shape[-1]), shape).astype(np.float32)
    if name.endswith("nextn.eh_proj.weight"):
        return np.eye(*shape, dtype=np.float32)  # the token counts, not what is behind it
    kind = name.rpartition("blk.")[2].partition(".")[2]
    scale = (_SCALES | dict(scales)).get(kind, 1.0)
    deviation = scale / np.sqrt(shape[-1]) if len(shape) > 1 else scale
    return generator.normal(0.0, deviation, shape).astype(np.float32)


_SCALES: dict[str, float] = {
    "attn_q.weight": 2.0,  # a head looks at few places, not at the average of all
    "attn_output.weight": 3.0,
}

_OUTER_SHAPES: Shapes = {
    "token_embd.weight": (VOCABULARY, WIDTH),
    "output_norm.weight": (WIDTH,),
    "output.weight": (VOCABULARY, WIDTH),
}


def _attention(layer: int) -> Shapes:
    return {
        f"blk.{layer}.attn_norm.weight": (WIDTH,),
        f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
        f"blk.{layer}.attn_k.weight": (WIDTH, WIDTH),
        f"blk.{layer}.attn_v.weight": (WIDTH, WIDTH),
        f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
    }


def _feed_forward(layer: int) -> Shapes:
    return {
        f"blk.{layer}.ffn_norm.weight": (WIDTH,),
        f"blk.{layer}.ffn_gate.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_up.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_down.weight": (WIDTH, FEED_FORWARD),
    }


def _state_space(layer: int) -> Shapes:
    return {
        f"blk.{layer}.attn_norm.weight": (WIDTH,),
        f"blk.{layer}.ssm_in.weight": (2 * INNER, WIDTH),
        f"blk.{layer}.ssm_conv1d.weight": (INNER, CONVOLUTION),
        f"blk.{layer}.ssm_conv1d.bias": (INNER,),
        f"blk.{layer}.ssm_x.weight": (TIME_STEP_RANK + 2 * STATE, INNER),
        f"blk.{layer}.ssm_dt.weight": (INNER, TIME_STEP_RANK),
        f"blk.{layer}.ssm_dt.bias": (INNER,),
        f"blk.{layer}.ssm_a": (INNER, STATE),
        f"blk.{layer}.ssm_d": (INNER,),
        f"blk.{layer}.ssm_out.weight": (WIDTH, INNER),
    }


def _inner_norms(layer: int) -> Shapes:
    """What Jamba adds to a Mamba layer."""
    return {
        f"blk.{layer}.ssm_dt_norm.weight": (TIME_STEP_RANK,),
        f"blk.{layer}.ssm_b_norm.weight": (STATE,),
        f"blk.{layer}.ssm_c_norm.weight": (STATE,),
    }


def _gemma_norms(layer: int) -> Shapes:
    """What Gemma 3 adds to a layer of Llama."""
    return {
        f"blk.{layer}.attn_q_norm.weight": (WIDTH // HEADS,),
        f"blk.{layer}.attn_k_norm.weight": (WIDTH // HEADS,),
        f"blk.{layer}.post_attention_norm.weight": (WIDTH,),
        f"blk.{layer}.post_ffw_norm.weight": (WIDTH,),
    }


def _post_norm(layer: int) -> Shapes:
    return {f"blk.{layer}.post_attention_norm.weight": (WIDTH,)}


def _experts(layer: int) -> Shapes:
    """The feed-forward part of GLM-4.5: two experts, one of which is asked, and a shared one."""
    return {
        f"blk.{layer}.ffn_gate_inp.weight": (2, WIDTH),
        f"blk.{layer}.exp_probs_b.bias": (2,),
        f"blk.{layer}.ffn_gate_exps.weight": (2, FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_up_exps.weight": (2, FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_down_exps.weight": (2, WIDTH, FEED_FORWARD),
        f"blk.{layer}.ffn_gate_shexp.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_up_shexp.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_down_shexp.weight": (WIDTH, FEED_FORWARD),
    }


def _next_token(layer: int) -> Shapes:
    """What a layer that guesses ahead has besides."""
    return {
        f"blk.{layer}.nextn.eh_proj.weight": (WIDTH, 2 * WIDTH),
        f"blk.{layer}.nextn.enorm.weight": (WIDTH,),
        f"blk.{layer}.nextn.hnorm.weight": (WIDTH,),
    }


def _layers(count: int, *parts: Callable[[int], Shapes]) -> Shapes:
    return {
        name: shape
        for layer in range(count)
        for part in parts
        for name, shape in part(layer).items()
    }


_STATE_SPACE: Hyperparameters = {
    "ssm.conv_kernel": CONVOLUTION,
    "ssm.inner_size": INNER,
    "ssm.state_size": STATE,
    "ssm.time_step_rank": TIME_STEP_RANK,
}

PLAIN = TinyModel(
    "llama",
    {
        "block_count": 2,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "rope.dimension_count": WIDTH // HEADS,
    },
    _layers(2, _attention, _feed_forward),
)

RECURRENT = TinyModel(
    "mamba",
    {**_STATE_SPACE, "block_count": 2, "feed_forward_length": 0, "attention.head_count": 0},
    _layers(2, _state_space),
)

HYBRID = TinyModel(
    "jamba",
    {
        **_STATE_SPACE,
        "block_count": 3,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": [0, HEADS, 0],  # the second layer is the one with attention
    },
    {
        **_layers(3, _feed_forward),
        **_state_space(0),
        **_inner_norms(0),
        **_attention(1),
        **_state_space(2),
        **_inner_norms(2),
    },
)

SLIDING_WINDOW = TinyModel(
    "gemma3",
    {
        "block_count": 4,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.key_length": WIDTH // HEADS,
        "attention.value_length": WIDTH // HEADS,
        "attention.sliding_window": WINDOW,
        "attention.sliding_window_pattern": 4,  # the fourth layer sees everything
    },
    _layers(4, _attention, _feed_forward, _gemma_norms),
)

_GLM_LAYER = (_attention, _post_norm, _experts)

GUESSING = TinyModel(
    "glm4moe",
    {
        "block_count": 3,
        "nextn_predict_layers": 1,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "rope.dimension_count": WIDTH // HEADS,
        "expert_count": 2,
        "expert_used_count": 1,
        "expert_shared_count": 1,
        "expert_feed_forward_length": FEED_FORWARD,
        "expert_gating_func": 2,
        "expert_weights_scale": 1.0,
    },
    {**_layers(3, *_GLM_LAYER), **_next_token(2)},
    # What comes next depends on the last token most of all: so it is guessed.
    {
        "attn_output.weight": 0.03,
        "ffn_down_exps.weight": 0.01,
        "ffn_down_shexp.weight": 0.01,
    },
)
"""Its third layer guesses ahead (MTP), right more often than not."""
