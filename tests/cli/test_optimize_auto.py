"""`llm-api models optimize --auto`: measured once, kept where it is as good, run from then on."""

import logging
from pathlib import Path
from typing import Literal

import pytest

from llm_api.assembly.local_models import find_models
from llm_api.cli.optimize_auto import Original, OutOfTimeError, optimize_by_itself
from llm_api.config.chosen_models import choose_models
from llm_api.config.settings import Settings
from llm_api.core.llm.files.installed import default_model_path, installed_models
from llm_api.core.llm.tuning.comparison import ComparedFile
from llm_api.core.llm.tuning.measure import Speed
from tests.cli.command import llm_api
from tests.core.llm.tiny_gguf import write_gguf

DEFAULT = default_model_path()


class Measured:
    """Finds Q8_0 faster, and its perplexity changed so much; writes a small model."""

    def __init__(self, change: float = 0.002) -> None:
        self.change = change
        self.count = 0

    def __call__(self, settings: Settings, original: Original, written: Path) -> list[ComparedFile]:
        self.count += 1
        write_gguf(written)
        return [
            ComparedFile("as it is", Speed(1, 1), 1, 1, 1, 9, 0, 0),
            ComparedFile("Q8_0", Speed(1, 1), 2, 1.2, 1.5, 9, self.change, 0.001),
        ]


def settings_of(folder: Path, weights: Literal["fastest", "original"] = "fastest") -> Settings:
    return Settings(models_dir=folder / "models", weights=weights, gpu_layers=0)


def test_what_is_found_is_said_once_measured_once_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings, measure = settings_of(tmp_path), Measured()
    with caplog.at_level(logging.INFO):
        [model] = find_models(choose_models(settings))
    assert model.path == DEFAULT
    assert "Q4_1 has no fast kernel on this CPU: `llm-api models optimize --auto`" in caplog.text
    for _ in range(2):
        optimize_by_itself(settings, DEFAULT, measure)
        [line] = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{DEFAULT.stem}: Q8_0 reads prompts 2.00 times as fast here")
    assert measure.count == 1

    with caplog.at_level(logging.INFO):
        [model] = find_models(choose_models(settings))
    assert (model.path.name, model.source) == ("SmolLM2-135M-Instruct.Q8_0.gguf", DEFAULT)
    assert (model.card.id, model.card.weights) == (DEFAULT.stem, model.path.name)
    assert "is run for SmolLM2-135M-Instruct.Q4_1.gguf: Q8_0 reads" in caplog.text
    assert [one.path for one in installed_models(settings.models_dir)] == [DEFAULT]

    [model] = find_models(choose_models(settings_of(tmp_path, "original")))
    assert model.path == DEFAULT


def test_where_it_takes_too_long_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(settings: Settings, original: Original, written: Path) -> list[ComparedFile]:
        write_gguf(written)
        raise OutOfTimeError

    optimize_by_itself(settings_of(tmp_path), DEFAULT, measure)
    assert "not measured within" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_as_good_is_named_and_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, measure = settings_of(tmp_path), Measured(change=0.02)
    for _ in range(2):
        optimize_by_itself(settings, DEFAULT, measure)
        assert "it is run as it is (Q8_0 reads prompts" in capsys.readouterr().out
    assert measure.count == 1
    assert not list(settings.models_dir.rglob("*.gguf"))


def test_kept_weights_that_cannot_be_read_are_left_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    optimize_by_itself(settings, DEFAULT, Measured())
    [kept] = settings.models_dir.rglob("*.gguf")
    kept.write_bytes(b"x" * kept.stat().st_size)
    [model] = find_models(choose_models(settings))
    assert model.path == DEFAULT


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"WEIGHTS": "original"}, "WEIGHTS=original: it is run as it is"),
        ({"WEIGHTS": "fastest", "MODEL_PATH": "m.gguf"}, "F32 has fast kernels here"),
    ],
)
def test_where_there_is_nothing_to_gain_one_line_says_so(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    write_gguf(tmp_path / "m.gguf")
    done = llm_api(tmp_path, "models", "optimize", "--auto", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    assert says in line
