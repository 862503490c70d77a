"""Loads a causal language model with transformers. The door of PyTorch and transformers.

They are imported when a model of this kind is opened, never before: that takes seconds. Code that
comes with a model is never run.
"""

import inspect
import logging
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, TypeAlias

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.backends.transformers_vocabulary import TransformersVocabulary

log = logging.getLogger(__name__)

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]

UNKNOWN_CONTEXT = 2048
"""Tokens that a model is taken to read where its configuration names no limit."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model lies, and where it computes.

    `model` is a folder, or a repository of the Hugging Face hub, which is fetched into
    `cache_folder`; `gguf_file` names a GGUF file in it, whose weights are dequantised. `device`
    auto is a CUDA GPU where there is one. `dtype` auto is the model's own on a GPU, float32 on a
    CPU, where that is both faster on most and exact.
    """

    model: str
    gguf_file: str | None = None
    cache_folder: Path | None = None
    device: Device = "auto"
    dtype: Dtype = "auto"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`model` is of transformers, `context_length` what it was made for."""

    model: Any
    vocabulary: TransformersVocabulary
    chat_template: str | None
    context_length: int


def load_model(source: ModelSource) -> LoadedModel:
    """Load a model on the thread that will compute with it. Blocks: seconds to minutes.

    Raises ModelFileError where a package is absent or the model cannot be loaded.
    """
    try:
        import torch  # noqa: PLC0415 - see above
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415
    except ImportError as error:
        raise ModelFileError(
            "Models of transformers need packages that are not installed; run `make embeddings` or"
            " `pip install 'llm_api[embeddings]'`."
        ) from error
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # has no types
    has_gpu = torch.cuda.is_available()
    if source.device == "cuda" and not has_gpu:
        raise ModelFileError("The device is to be 'cuda', and PyTorch sees no CUDA GPU.")
    device = "cpu" if source.device == "cpu" or not has_gpu else "cuda"
    try:
        model, tokenizer = _load(source, device)
    except Exception as error:
        raise ModelFileError(_why_not(source, error)) from error
    _check_interface(model)
    log.info("%s computes on %s in %s", source.model, device, model.dtype)
    return _describe(model, tokenizer)


def _load(source: ModelSource, device: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - see above

    where: dict[str, Any] = {"trust_remote_code": False}
    if source.cache_folder is not None:
        where["cache_dir"] = str(source.cache_folder)
    if source.gguf_file is not None:
        where["gguf_file"] = source.gguf_file
    dtype = "float32" if source.dtype == "auto" and device == "cpu" else source.dtype
    tokenizer = AutoTokenizer.from_pretrained(source.model, **where)
    model: Any = AutoModelForCausalLM.from_pretrained(source.model, dtype=dtype, **where)
    model.to(device)
    return model.eval(), tokenizer


def _check_interface(model: Any) -> None:
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        raise ModelFileError(
            f"Models of the kind {type(model).__name__} keep their state in a way that is not"
            " supported; choose another model."
        )


def _describe(model: Any, tokenizer: Any) -> LoadedModel:
    config = model.config.get_text_config()
    size = model.get_input_embeddings().num_embeddings
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return LoadedModel(
        model,
        TransformersVocabulary(tokenizer, size, _end_tokens(model, tokenizer)),
        template,
        getattr(config, "max_position_embeddings", None) or UNKNOWN_CONTEXT,
    )


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """What ends an answer: the tokenizer's EOS, and those of the model's own generation."""
    ends = model.generation_config.eos_token_id
    several = ends if isinstance(ends, list) else [ends]
    return frozenset(end for end in (*several, tokenizer.eos_token_id) if end is not None)


def _why_not(source: ModelSource, error: Exception) -> str:
    reason = shorten(str(error), 240, placeholder=" …") or type(error).__name__
    name = source.model if source.gguf_file is None else f"{source.gguf_file} in {source.model}"
    return f"transformers cannot load {name}: {reason}"
