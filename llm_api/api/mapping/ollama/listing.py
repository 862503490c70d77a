"""Models as Ollama describes them, domain to wire. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from llm_api.api.models.ollama.listing import Details, ListedModel, RunningModel, Shown
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.files.gguf import GGUFModel

NEVER: Final = "9999-12-31T23:59:59Z"
"""When a model expires that stays in memory."""

_THINKING_WORDS: Final = ("enable_thinking", "reasoning_effort", "<think>")


def shown_name(name: str) -> str:
    """The name with a tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def to_listed(card: ModelCard | EmbedderCard) -> list[ListedModel]:
    """The model by each of its names, patterns left out."""
    return [
        ListedModel(
            name=shown_name(name),
            model=shown_name(name),
            modified_at=_time(card.created),
            size=_size(card),
            digest=_digest(card),
            details=_details(card),
        )
        for name in (card.id, *card.aliases)
        if "*" not in name
    ]


def to_running(card: ModelCard | EmbedderCard, size: int, expires_at: str) -> RunningModel:
    """A model in memory, of which it takes `size` bytes."""
    return RunningModel(
        name=shown_name(card.id),
        model=shown_name(card.id),
        size=size,
        digest=_digest(card),
        details=_details(card),
        expires_at=expires_at,
        size_vram=0,
        context_length=_context_length(card) or 0,
    )


def to_shown(card: ModelCard | EmbedderCard) -> Shown:
    """A model in full."""
    parameters = _parameters(card)
    lines = [f"FROM {card.id}", *(f"PARAMETER {line}" for line in parameters)]
    file = _file(card)
    return Shown(
        modelfile="\n".join(lines),
        parameters="\n".join(parameters),
        template="" if file is None else file.chat_template,
        details=_details(card),
        model_info=_model_info(card),
        capabilities=_capabilities(card),
        modified_at=_time(card.created),
    )


def _capabilities(card: ModelCard | EmbedderCard) -> list[str]:
    if isinstance(card, EmbedderCard):
        return ["embedding"]
    abilities = card.capabilities.abilities
    has = {
        "tools": "tools" in abilities,
        "insert": "fill_in" in abilities,
        "thinking": _thinks(card.file),
    }
    return ["completion", *(name for name, is_so in has.items() if is_so)]


def _thinks(file: GGUFModel | None) -> bool:
    return file is not None and any(word in file.chat_template for word in _THINKING_WORDS)


def _model_info(card: ModelCard | EmbedderCard) -> dict[str, JsonValue]:
    """The values of its header; of a model without a file, what its card says."""
    file = _file(card)
    if file is not None:
        known: Mapping[str, JsonValue] = {**file.metadata}
        return {
            "general.architecture": file.architecture,
            "general.parameter_count": file.parameter_count,
            **{name: value for name, value in known.items() if name != "tokenizer.chat_template"},
        }
    kind = card.backend if isinstance(card, ModelCard) else "embedder"
    info: dict[str, JsonValue] = {"general.architecture": kind}
    if (length := _context_length(card)) is not None:
        info[f"{kind}.context_length"] = length
    if isinstance(card, EmbedderCard) and card.dimension is not None:
        info[f"{kind}.embedding_length"] = card.dimension
    return info


def _parameters(card: ModelCard | EmbedderCard) -> list[str]:
    """The options that hold where a request says nothing, as Ollama writes them."""
    values: dict[str, object] = {"num_ctx": _context_length(card)}
    if isinstance(card, ModelCard):
        values |= {
            "num_predict": card.defaults.max_tokens,
            "temperature": card.defaults.temperature,
        }
    return [f"{name:<30} {value}" for name, value in values.items() if value is not None]


def _details(card: ModelCard | EmbedderCard) -> Details:
    file = _file(card)
    return Details(
        parent_model="",
        format="" if file is None else "gguf",
        family="" if file is None else file.architecture,
        families=[] if file is None else [file.architecture],
        parameter_size="" if file is None else _count(file.parameter_count),
        quantization_level="" if file is None else file.quantisation,
    )


def _count(parameters: int) -> str:
    """134,515,008 as `134.52M`."""
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000), ("K", 1000)):
        if parameters >= size:
            decimals = 1 if unit == "B" else 2
            return f"{parameters / size:.{decimals}f}{unit}"
    return str(parameters)


def _file(card: ModelCard | EmbedderCard) -> GGUFModel | None:
    return card.file if isinstance(card, ModelCard) else None


def _size(card: ModelCard | EmbedderCard) -> int:
    file = _file(card)
    return 0 if file is None else file.size_bytes


def _context_length(card: ModelCard | EmbedderCard) -> int | None:
    return card.context_length if isinstance(card, ModelCard) else card.max_tokens


def _digest(card: ModelCard | EmbedderCard) -> str:
    """The same for the same model of the same size and time. Reads no file."""
    parts: Sequence[object] = (card.id, card.created, _size(card))
    return sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
