"""Texts judged by a query, wire to domain and back. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.models import rerank as wire
from llm_api.core.embeddings.embedder import Embeddings, Vectors
from llm_api.core.embeddings.reranker import Judgement, RerankRequest
from llm_api.core.errors import InvalidRequestError


def to_rerank_request(request: wire.RerankRequest) -> RerankRequest:
    """What is to be judged. Raises InvalidRequestError for both forms at once, or none."""
    if request.texts is not None:
        if request.documents is not None:
            raise InvalidRequestError(
                "'documents' and 'texts' cannot both be judged; send one.", param="texts"
            )
        return RerankRequest(
            request.query, request.texts, request.max_tokens_per_doc, bool(request.truncate)
        )
    documents = required(request.documents, "documents")
    texts = [
        _text(document, request.rank_fields or ["text"], f"documents[{position}]")
        for position, document in enumerate(documents)
    ]
    return RerankRequest(request.query, texts, request.max_tokens_per_doc)


def check_embedding_mode(request: wire.RerankRequest) -> None:
    """Raises UnsupportedParameterError for what embeddings cannot do."""
    if request.max_tokens_per_doc is not None:
        refuse("max_tokens_per_doc", "is not available with 'mode' as 'embedding'.")


def to_judgement(query: Embeddings, texts: Embeddings) -> Judgement:
    """The cosine of each text with the query; what is opposed to it is not relevant at all."""
    asked, found = unit(query.vectors[0]), unit(texts.vectors)
    cosines = (found @ asked).astype(np.float64)
    tokens = query.tokens + texts.tokens
    return Judgement(cosines, np.clip(cosines, 0, 1), tokens, texts.truncated)


def to_answer(
    request: wire.RerankRequest, judgement: Judgement, model: str, answer_id: str, version: str
) -> wire.RerankAnswer:
    """`version` is that of the path, which Cohere's clients are told."""
    documents = request.documents or []
    results = []
    for index, score in _best(request, judgement):
        result = wire.RerankedDocument(index=index, relevance_score=score)
        if request.return_documents:
            document = documents[index]
            result.document = {"text": document} if isinstance(document, str) else document
        results.append(result)
    tokens = judgement.tokens
    return wire.RerankAnswer(
        id=answer_id,
        object="list",
        model=model,
        results=results,
        usage=wire.RerankUsage(prompt_tokens=tokens, total_tokens=tokens),
        meta={"api_version": {"version": version}, "billed_units": {"search_units": 1}},
    )


def to_ranked_texts(request: wire.RerankRequest, judgement: Judgement) -> list[wire.RankedText]:
    texts = request.texts or []
    ranked = []
    for index, score in _best(request, judgement):
        text = wire.RankedText(index=index, score=score)
        if request.return_text:
            text.text = texts[index]
        ranked.append(text)
    return ranked


def _best(request: wire.RerankRequest, judgement: Judgement) -> list[tuple[int, float]]:
    """Positions and scores, the best first; of equal ones the earlier."""
    scores = (judgement.raw if request.raw_scores else judgement.relevance).tolist()
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    return [(index, scores[index]) for index in order[: request.top_n]]


def _text(document: str | dict[str, Any], fields: Sequence[str], path: str) -> str:
    if isinstance(document, str):
        return document
    found = [document[name] for name in fields if document.get(name) is not None]
    if not found:
        raise InvalidRequestError(
            f"{path} has none of the fields {', '.join(fields)}; name others in 'rank_fields'.",
            param=path,
        )
    for value in found:
        if not isinstance(value, str | int | float):
            raise InvalidRequestError(f"A field of {path} that is read is no text.", param=path)
    return "\n".join(map(str, found))


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1, or of 0 where they have none. Pure."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.where(length == 0, 1, length)).astype(np.float32)
    return scaled
