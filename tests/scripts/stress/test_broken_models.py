"""The broken models are broken in the way that their names say."""

from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.files.installed import default_model_path
from scripts.stress.broken_models import MARK, TEMPLATES, break_model, link_models, model_file


def test_models_are_sound_before_they_are_broken(tmp_path: Path) -> None:
    link_models(tmp_path)
    assert read_gguf(model_file(tmp_path, "flipped")) == read_gguf(default_model_path())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("missing", "no model file"), ("truncated", "is truncated"), ("flipped", "is damaged")],
)
def test_a_broken_model_is_refused_and_the_sound_one_untouched(
    tmp_path: Path, kind: str, reason: str
) -> None:
    link_models(tmp_path)
    with pytest.raises(ModelFileError, match=reason):
        read_gguf(break_model(tmp_path, kind))
    assert read_gguf(default_model_path()).has_chat_template


def test_the_hostile_one_differs_in_its_template_alone(tmp_path: Path) -> None:
    link_models(tmp_path)
    path = break_model(tmp_path, "hostile")
    assert read_gguf(path) == read_gguf(default_model_path())
    assert path.read_bytes().count(MARK.encode()) == 1


@pytest.mark.parametrize("kind", TEMPLATES)
def test_templates_that_are_hostile_to_the_machine_are_all_that_differs(
    tmp_path: Path, kind: str
) -> None:
    link_models(tmp_path)
    path = break_model(tmp_path, kind)
    assert read_gguf(path) == read_gguf(default_model_path())
    assert path.stat().st_size == default_model_path().stat().st_size
    assert path.read_bytes().count(TEMPLATES[kind].encode()) == 1
