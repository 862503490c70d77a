"""sentence-transformers as an Encoder: the one door of that library, of PyTorch and transformers.

They are imported when a model of this kind is opened, never before: that takes seconds.

Texts reach the model as the library itself would prepare them. Where that is a plain tokenizer
in front of a padded batch, which is tried out when the model is loaded, the tokens counted before
are computed as they are; any other model gets the texts, and the library prepares them again.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderFacts, EncoderText, Pause, TokenizedTexts, go_on
from llm_api.core.embeddings.vectors import (
    Numerics,
    computes_in_bfloat16,
    cosines,
    is_exact_enough,
)
from llm_api.core.errors import ModelFileError
from llm_api.core.utils.machine import cpu_flags

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from torch.nn import Module

log = logging.getLogger(__name__)

_NO_LIMIT = 1_000_000
"""Tokens of a text where the model names no limit: a request cannot hold more."""

SHORT_TOKENS = 64
"""Up to so many, plain matrix products are quicker than PyTorch's fused attention.

In bfloat16 a batch of 16 texts of 13 tokens takes 12.6 ms instead of 17.1, one of 8 texts of 64
tokens 23.8 instead of 26.3; from 128 tokens on the fused one wins, and it needs less memory.
"""

_ATTENTION = "_attn_implementation"  # what transformers' models look up in every layer
_EITHER_WAY = ("eager", "sdpa")

_SAMPLE = (
    "Rain.",
    "How do I reset my password?",
    "The committee postponed its decision until the figures of the third quarter are known.",
    "def area(radius): return 3.14159 * radius ** 2",
    "Ein Satz in einer anderen Sprache, mit Umlauten: größer, schöner, älter.",
    (
        "In 1969 the crew of Apollo 11 landed in the Sea of Tranquility. Two of them walked on the"
        " surface for two and a half hours, collected 21.5 kilograms of rock, and left a mirror"
        " that is still used to measure the distance between the Earth and the Moon."
    ),
)


@dataclass(frozen=True, slots=True)
class SentenceTransformerOptions:
    """Code that comes with a model runs only if it is trusted."""

    folder: Path
    trusts_remote_code: bool = False
    numerics: Numerics = "auto"
    threads: int = 1


class SentenceTransformerEncoder(TokenizedTexts):
    """One loaded model. Made by `open_sentence_transformer`."""

    def __init__(self, model: "SentenceTransformer") -> None:
        """Raises ModelFileError where the model has no tokenizer that can count."""
        self._model = model
        tokenizer = _plain_tokenizer(model)
        super().__init__(tokenizer)
        self._facts = _facts(model, tokenizer)
        self._takes_tokens = self._prepares_alike()
        self._config = model.config
        self._pause: Pause = go_on
        for module in _steps(model):
            module.register_forward_pre_hook(lambda _module, _inputs: self._pause())

    @property
    def facts(self) -> EncoderFacts:
        return self._facts

    def encode(self, texts: Sequence[EncoderText], adapter: str | None, pause: Pause) -> Vectors:
        with self._for_batch(max(len(text.ids) for text in texts), pause):
            return self._encode(texts, adapter)

    @contextmanager
    def _for_batch(self, longest: int, pause: Pause) -> Iterator[None]:
        """What holds for one batch. One that is computed in its pauses has its own."""
        outer_pause, self._pause = self._pause, pause
        outer_attention = getattr(self._config, _ATTENTION, None)
        if outer_attention in _EITHER_WAY:
            setattr(self._config, _ATTENTION, "eager" if longest <= SHORT_TOKENS else "sdpa")
        try:
            yield
        finally:
            self._pause = outer_pause
            if outer_attention in _EITHER_WAY:
                setattr(self._config, _ATTENTION, outer_attention)

    def _encode(self, texts: Sequence[EncoderText], adapter: str | None) -> Vectors:
        import torch  # noqa: PLC0415 - see above

        arguments = {} if adapter is None else {"task": adapter}
        with torch.inference_mode():
            features = (
                self._padded([text.ids for text in texts])
                if self._takes_tokens
                else self._model.preprocess([text.text for text in texts], **arguments)
            )
            vectors = self._model(features, **arguments)["sentence_embedding"]
            return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)

    def close(self) -> None:
        """What is left to do is the garbage collector's."""

    def _prepares_alike(self) -> bool:
        """Whether `_padded` gives the model what the library would. Notes what that consists of."""
        import torch  # noqa: PLC0415 - see above

        prepared = self._model.preprocess(list(_SAMPLE[:2]))
        self._names = [name for name, value in prepared.items() if isinstance(value, torch.Tensor)]
        self._constants = {
            name: value for name, value in prepared.items() if isinstance(value, str)
        }
        if not {"input_ids", "attention_mask"} <= set(self._names):
            return False
        padded = self._padded(self.tokenize(_SAMPLE[:2]))
        return padded.keys() == prepared.keys() and all(
            torch.equal(padded[name], prepared[name].to(padded[name].device))
            for name in self._names
        )

    def _padded(self, batch: Sequence[Sequence[int]]) -> dict[str, Any]:
        """The tensors that the library's own tokenizer call makes of these tokens."""
        import torch  # noqa: PLC0415 - see above

        tokenizer = self._model.tokenizer
        shape = len(batch), max(map(len, batch))
        ids = np.full(shape, tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, tokens in enumerate(batch):
            is_left = tokenizer.padding_side == "left"
            where = slice(-len(tokens), None) if is_left else slice(len(tokens))
            ids[row, where], mask[row, where] = tokens, 1
        arrays = {"input_ids": ids, "attention_mask": mask}
        tensors = {
            name: torch.from_numpy(arrays.get(name, np.zeros_like(ids))).to(self._model.device)
            for name in self._names
        }
        return {**tensors, **self._constants}


def open_sentence_transformer(options: SentenceTransformerOptions) -> SentenceTransformerEncoder:
    """Load a model on the thread that will compute with it. Blocks.

    Touches no network, except where trusted code lies in another repository. Raises
    ModelFileError where a package is absent or the model cannot be loaded.
    """
    try:
        import torch  # noqa: PLC0415 - see above
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - see above
    except ImportError as error:
        raise ModelFileError(
            "This embedding model needs packages that are not installed; run `make embeddings` or"
            " `pip install 'llm_api[embeddings]'`."
        ) from error
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # has no types
    torch.set_num_threads(options.threads)
    try:
        model = _load(options)
    except Exception as error:
        raise ModelFileError(_why_not(options, error)) from error
    model.float().eval()
    _warn_of_unpinned_code(model, options)
    _choose_numerics(model, options)
    return SentenceTransformerEncoder(model)


def _load(options: SentenceTransformerOptions) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - see above

    def load(*, is_offline: bool) -> SentenceTransformer:
        return SentenceTransformer(
            str(options.folder),
            trust_remote_code=options.trusts_remote_code,
            local_files_only=is_offline,
        )

    if not options.trusts_remote_code:
        return load(is_offline=True)
    try:
        return load(is_offline=True)
    except OSError:
        return load(is_offline=False)


def _why_not(options: SentenceTransformerOptions, error: Exception) -> str:
    reason = shorten(str(error), 240, placeholder=" …") or type(error).__name__
    hint = (
        ""
        if options.trusts_remote_code
        else " (A model with code of its own needs EMBEDDING_TRUST_REMOTE_CODE=true.)"
    )
    return f"The embedding model in {options.folder} cannot be loaded: {reason}{hint}"


def _warn_of_unpinned_code(
    model: "SentenceTransformer", options: SentenceTransformerOptions
) -> None:
    """A configuration may take code from another repository, which no revision is known of."""
    references = getattr(model.config, "auto_map", None) or {}
    elsewhere = {str(one).split("--")[0] for one in references.values() if "--" in str(one)}
    for name in sorted(elsewhere):
        log.warning("the model in %s runs code of %s, in no pinned revision", options.folder, name)


def _plain_tokenizer(model: "SentenceTransformer") -> "Tokenizer":
    """A tokenizer of our own that neither pads nor cuts: nobody sets it otherwise meanwhile."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - see above

    tokenizer = model.tokenizer
    inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not isinstance(inner, Tokenizer):
        raise ModelFileError(
            f"The embedding model has a tokenizer of a kind that is not supported,"
            f" {type(tokenizer).__name__}; choose another model."
        )
    plain = copy.deepcopy(inner)
    plain.no_padding()
    plain.no_truncation()
    return plain


def _facts(model: "SentenceTransformer", tokenizer: "Tokenizer") -> EncoderFacts:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelFileError("The embedding model does not say how long its vectors are.")
    config = model.config
    lengths = getattr(config, "matryoshka_dimensions", None) or ()
    prompts = {name: text for name, text in model.prompts.items() if text}
    takes_task = "task" in model.get_model_kwargs()
    adapters = getattr(config, "lora_adaptations", None) or tuple(model.prompts)
    return EncoderFacts(
        dimension=dimension,
        max_tokens=model.max_seq_length or _NO_LIMIT,
        vocabulary_size=tokenizer.get_vocab_size(),
        prompts=prompts,
        default_prompt=prompts.get(model.default_prompt_name or "", ""),
        adapters=tuple(adapters) if takes_task else (),
        matryoshka_dimensions=tuple(lengths),
    )


def _choose_numerics(model: "SentenceTransformer", options: SentenceTransformerOptions) -> None:
    """Turn to bfloat16 where that is wanted, or faster and near enough. Mutates `model`.

    The parameters of the first module are turned alone: pooling and what follows stay in float32.
    """
    import torch  # noqa: PLC0415 - see above

    is_quicker = model.device.type == "cpu" and computes_in_bfloat16(cpu_flags())
    if options.numerics == "float32" or (options.numerics == "auto" and not is_quicker):
        return
    exact = model.encode(list(_SAMPLE), show_progress_bar=False)
    weights = {parameter: parameter.data for parameter in model[0].parameters()}
    for parameter, data in weights.items():
        parameter.data = data.to(torch.bfloat16)
    hook = model[0].register_forward_hook(_to_float32)
    mean, worst = cosines(exact, model.encode(list(_SAMPLE), show_progress_bar=False))
    log.info(
        "the model in %s computes in bfloat16: cosine to float32 %.5f mean, %.5f worst of %d texts",
        options.folder,
        mean,
        worst,
        len(_SAMPLE),
    )
    if options.numerics == "auto" and not is_exact_enough(mean, worst):
        log.warning("bfloat16 is not exact enough for it: float32")
        hook.remove()
        for parameter, data in weights.items():
            parameter.data = data


def _to_float32(_module: object, _inputs: object, features: dict[str, Any]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - see above

    return {
        name: value.float()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
        else value
        for name, value in features.items()
    }


def _steps(model: "SentenceTransformer") -> "list[Module]":
    """Parts of the layers: computed one after the other, and each a small part of the whole."""
    from torch.nn import ModuleList  # noqa: PLC0415 - see above

    stacks = [module for module in model.modules() if isinstance(module, ModuleList)]
    layers = list(max(stacks, key=len, default=()))
    return [part for layer in layers for part in layer.children()]
