"""Ollama's embeddings, wire to domain and back. Pure."""

from collections.abc import Sequence

from pydantic_core import to_json

from llm_api.core.embeddings.embedder import Embeddings


def to_texts(given: str | Sequence[str]) -> list[str]:
    """The texts one by one; an empty text alone is none."""
    if isinstance(given, str):
        return [given] if given else []
    return list(given)


def to_embed_answer(made: Embeddings | None, model: str, seconds: float) -> bytes:
    """The JSON text of an `EmbedAnswer`. Written whole: as Pydantic models it takes seconds."""
    return to_json(
        {
            "model": model,
            "embeddings": [] if made is None else made.vectors.tolist(),
            "total_duration": round(seconds * 1e9),
            "load_duration": 0,
            "prompt_eval_count": 0 if made is None else made.tokens,
        }
    )


def to_old_embedding(made: Embeddings | None) -> bytes:
    """The JSON text of an `OldEmbedding`."""
    return to_json({"embedding": [] if made is None else made.vectors[0].tolist()})
