import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.assembly.embedders import embedder_kind, find_embedders
from llm_api.config.settings import ConfigurationError, load_settings
from llm_api.core.errors import ModelNotFoundError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "onnx"),
        ({"embedding_model_name": "sentence-transformers/all-MiniLM-L6-v2"}, "onnx"),
        ({"embedding_numerics": "float32"}, "onnx"),
        ({"embedding_numerics": "bfloat16"}, "sentence_transformers"),
        ({"embedding_backend": "sentence_transformers"}, "sentence_transformers"),
        ({"embedding_model_name": "jinaai/jina-embeddings-v3"}, "sentence_transformers"),
        ({"embedding_model_name": "nomic.f16.gguf"}, "gguf"),
        ({"embedding_url": "http://127.0.0.1:8080"}, "upstream"),
        ({"embedding_url": "http://127.0.0.1:8080", "embedding_model_name": "m.gguf"}, "upstream"),
        ({"embedding_backend": "GGUF", "embedding_model_name": "m"}, "gguf"),
        ({"embedding_backend": "none"}, "none"),
    ],
)
def test_what_embeds_is_inferred(given: dict[str, object], kind: str) -> None:
    assert embedder_kind(load_settings(**given)) == kind


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"embedding_backend": "upstream"}, "EMBEDDING_URL: must be set"),
        (
            {"embedding_backend": "gguf", "embedding_url": "http://x"},
            "EMBEDDING_URL: must be unset",
        ),
        ({"embedding_trust_remote_code": True}, "EMBEDDING_REVISION: must be a commit"),
        (
            {"embedding_trust_remote_code": True, "embedding_revision": "main"},
            "EMBEDDING_REVISION: must be a commit",
        ),
        (
            {"embedding_backend": "onnx", "embedding_numerics": "bfloat16"},
            "EMBEDDING_NUMERICS: must be auto or float32 when EMBEDDING_BACKEND is onnx",
        ),
        ({"embedding_numerics": "int8"}, "EMBEDDING_NUMERICS: must be auto or float32 or bfloat16"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    given: dict[str, object], line: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**given)
    assert str(caught.value).startswith(line)


def test_code_of_a_folder_or_of_a_pinned_commit_may_be_trusted(tmp_path: Path) -> None:
    for given in ({"embedding_model_name": str(tmp_path)}, {"embedding_revision": COMMIT}):
        settings = load_settings(embedding_trust_remote_code=True, **given)
        assert settings.embedding_trust_remote_code


def test_a_prefix_keeps_the_space_at_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDDING_QUERY_PREFIX", "query: ")
    Path(".env").write_text('EMBEDDING_DOCUMENT_PREFIX="passage: "')
    settings = load_settings()
    assert settings.embedding_query_prefix == "query: "
    assert settings.embedding_document_prefix == "passage: "


@pytest.mark.parametrize(
    ("name", "model_id", "aliases"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", ("sentence-transformers/all-MiniLM-L6-v2", "e")),
        ("owner/name", "owner/name", ("e",)),
        ("folder.v2", "folder.v2", ("e",)),
        ("model.f16.gguf", "model.f16", ("e",)),
        ("owner/name/model.gguf", "model", ("e",)),
    ],
)
def test_a_model_is_asked_for_by_name_or_alias(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    model_id: str,
    aliases: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.v2").mkdir()
    settings = load_settings(embedding_model_name=name, embedding_aliases=("e",))
    registry = find_embedders(settings, asyncio.to_thread)
    [card] = registry.cards()
    assert (card.id, card.aliases) == (model_id, aliases)
    assert registry.resolve("e") is registry.resolve(model_id)
    assert registry.state("e") == "unloaded"
    with pytest.raises(ModelNotFoundError):
        registry.resolve("text-embedding-3-small")


async def test_a_model_of_the_hub_answers_to_the_last_part_of_its_name() -> None:
    settings = load_settings(embedding_model_name="jinaai/jina-embeddings-v3")
    async with aclosing(find_embedders(settings, asyncio.to_thread)) as embedders:
        assert embedders.resolve("jina-embeddings-v3").card.id == "jinaai/jina-embeddings-v3"
        with pytest.raises(ModelNotFoundError):
            embedders.resolve("jina-embeddings")
