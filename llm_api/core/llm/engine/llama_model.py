"""One loaded GGUF model: its weights, its vocabulary and what its file says of it."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.types import FillInTokens


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A LoRA adapter in GGUF, by the name that requests call it."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Where the weights go. The GPU options mean something where llama.cpp was built for one.

    `gpu_layers` -1 puts every layer that fits on a GPU. `tensor_split` are relative shares of
    each GPU, empty for llama.cpp's own choice by memory. `has_mtp`: whether layers that guess ahead
    are read as well.
    """

    gpu_layers: int = -1
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    use_mmap: bool = True
    use_mlock: bool = False
    adapters: tuple[AdapterFile, ...] = ()
    has_mtp: bool = False


class LlamaModel:
    """Weights and vocabulary. The vocabulary's methods are thread-safe, as llama.cpp's are."""

    def __init__(self, path: Path, options: ModelOptions) -> None:
        """Map the file. Blocks for as long as that takes. Raises ModelFileError."""
        self._library = load_library()
        params = _params(self._library, options)
        self.handle = self._library.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            check_known(path)
            raise _no_memory(path)  # without its weights it can be loaded
        self.vocabulary = self._library.llama_model_get_vocab(self.handle)
        self.tokenize_function = self._library.llama_tokenize
        self.vocabulary_size: int = self._library.llama_vocab_n_tokens(self.vocabulary)
        self.training_context: int = self._library.llama_model_n_ctx_train(self.handle)
        self.end_tokens = frozenset(
            token
            for token in range(self.vocabulary_size)
            if self._library.llama_vocab_is_eog(self.vocabulary, token)
        )
        self.adds_bos: bool = self._library.llama_vocab_get_add_bos(self.vocabulary)
        self.bos_text = self._token_text(self._library.llama_vocab_bos(self.vocabulary))
        self.eos_token: int = self._library.llama_vocab_eos(self.vocabulary)
        self.eos_text = self._token_text(self.eos_token)
        texts = self.vocabulary_texts()
        self.longest_token = max(len(text.encode()) for text in texts)
        self.control_tokens = self._find_control_tokens(texts)
        self.fill_in = self._find_fill_in()
        self.chat_template = self._read_chat_template()
        self.adapters = self._load_adapters(options.adapters)
        """llama.cpp's handles by name; they are freed with the model."""
        self._pieces: dict[int, bytes] = {}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`.

        `add_special` lets the model add BOS or EOS as it is made to; `parse_special` turns the
        texts of control tokens into these tokens.
        """
        data = text.encode()
        capacity = len(data) + 8
        while True:
            buffer = (ctypes.c_int32 * capacity)()
            count = self._library.llama_tokenize(
                self.vocabulary, data, len(data), buffer, capacity, add_special, parse_special
            )
            if count >= 0:
                return buffer[:count]
            capacity = -count

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; none for a control token. Need not be whole UTF-8."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._render(token, special=False)
        return piece

    def token_bytes(self, token: int) -> bytes:
        """As `piece`, but a control token shows its text."""
        return self.piece(token) or self._render(token, special=True)

    def vocabulary_texts(self) -> list[str]:
        """The text of every token, as its file has it. Takes a tenth of a second."""
        return [self._token_text(token) for token in range(self.vocabulary_size)]

    def close(self) -> None:
        """Free the weights. Contexts made from them are freed before. Idempotent."""
        if self.handle:
            self._library.llama_model_free(self.handle)
            self.handle = None

    def _render(self, token: int, *, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._library.llama_token_to_piece(
                self.vocabulary, token, buffer, size, 0, special
            )
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        text: bytes = self._library.llama_vocab_get_text(self.vocabulary, token)
        return text.decode("utf-8", "replace")

    def _find_control_tokens(self, texts: Sequence[str]) -> dict[str, int]:
        """The tokens whose texts are parsed only where special tokens are."""
        control = self._library.LLAMA_TOKEN_ATTR_CONTROL | self._library.LLAMA_TOKEN_ATTR_UNKNOWN
        return {
            text: token
            for token, text in enumerate(texts)
            if text and self._library.llama_vocab_get_attr(self.vocabulary, token) & control
        }

    def _find_fill_in(self) -> FillInTokens | None:
        """The marks that the file names, or that llama.cpp knows by their texts."""
        names = ("pre", "suf", "mid", "rep", "sep")
        found = [getattr(self._library, f"llama_vocab_fim_{name}") for name in names]
        prefix, suffix, middle, *others = (mark(self.vocabulary) for mark in found)
        if min(prefix, suffix, middle) < 0:
            return None
        return FillInTokens(prefix, suffix, middle, *(one if one >= 0 else None for one in others))

    def _load_adapters(self, files: Sequence[AdapterFile]) -> dict[str, Any]:
        """Raises ModelFileError for the first that is not one for this model; it is freed then."""
        adapters = {}
        for file in files:
            adapter = self._library.llama_adapter_lora_init(self.handle, str(file.path).encode())
            if not adapter:
                self.close()
                raise ModelFileError(
                    f"llama.cpp cannot use {file.path} as a LoRA adapter of this model: it is"
                    " damaged, or was made for another one (convert_lora_to_gguf.py makes one)."
                )
            if self._library.llama_adapter_get_alora_n_invocation_tokens(adapter):
                self.close()
                raise ModelFileError(
                    f"{file.path} is an adapter that some tokens switch on (aLoRA), which is not"
                    " available; use a plain LoRA adapter."
                )
            adapters[file.name] = adapter
        return adapters

    def _read_chat_template(self) -> str | None:
        template: bytes | None = self._library.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None


def _params(library: Any, options: ModelOptions) -> Any:
    """A `llama_model_params`. Raises ModelFileError for shares that no GPU can have."""
    params = library.llama_model_default_params()
    params.n_gpu_layers = options.gpu_layers
    params.main_gpu = options.main_gpu
    params.load_mtp = options.has_mtp
    if options.tensor_split:
        devices = library.llama_max_devices()
        if len(options.tensor_split) > devices:
            raise ModelFileError(
                f"TENSOR_SPLIT names {len(options.tensor_split)} GPUs, llama.cpp knows {devices}."
            )
        # ctypes keeps the array alive with the structure that points to it.
        params.tensor_split = (ctypes.c_float * devices)(*options.tensor_split)
    params.load_mode = {
        (False, False): library.LLAMA_LOAD_MODE_NONE,
        (True, False): library.LLAMA_LOAD_MODE_MMAP,
        (False, True): library.LLAMA_LOAD_MODE_MLOCK,
        (True, True): library.LLAMA_LOAD_MODE_MMAP_MLOCK,
    }[options.use_mmap, options.use_mlock]
    return params


def check_known(path: Path) -> None:
    """Let llama.cpp look at a model without its weights. Blocks.

    Raises ModelFileError where it does not know the architecture, or the file is damaged.
    """
    library = load_library()
    params = library.llama_model_default_params()
    params.no_alloc = True
    params.n_gpu_layers = 0
    params.load_mode = library.LLAMA_LOAD_MODE_NONE
    handle = library.llama_model_load_from_file(str(path).encode(), params)
    if not handle:
        raise ModelFileError(
            f"llama.cpp cannot load {path}: the file is damaged, or of an architecture that this"
            " version does not know. Fetch it again, or choose another model."
        )
    library.llama_model_free(handle)


def _no_memory(path: Path) -> ModelFileError:
    return ModelFileError(
        f"There is not enough memory for {path}: choose a smaller quantisation, or free some"
        " (GPU_LAYERS says how much of it lies on a GPU)."
    )
