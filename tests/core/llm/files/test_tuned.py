"""Weights kept beside a model's own: when they hold, and when not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.llm.files.tuned import (
    TunedRecord,
    describe,
    find_tuned,
    is_current,
    keep_tuned,
    machine_kind,
    read_record,
    tuned_folder,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "m.Q4_1.gguf"
    path.write_bytes(b"the weights")
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def keep(source: Path, models: Path, file: str | None = "m.Q8_0.gguf") -> TunedRecord:
    made = source.with_name("made")
    made.write_bytes(b"faster weights")
    size = made.stat().st_size if file else 0
    record = TunedRecord(describe(source), machine_kind(), "1.0", "it is faster", file, size)
    keep_tuned(source, models, record, made if file else None)
    return record


def test_what_is_kept_is_found_with_what_was_said_of_it(source: Path, models: Path) -> None:
    assert find_tuned(source, models) is None
    record = keep(source, models)
    path, found = find_tuned(source, models) or pytest.fail("it is kept")
    assert (path.read_bytes(), found) == (b"faster weights", record)
    assert is_current(record, source, models, "1.0")


def test_where_nothing_was_faster_the_original_is_run_and_not_measured_again(
    source: Path, models: Path
) -> None:
    record = keep(source, models, file=None)
    assert find_tuned(source, models) is None
    assert is_current(record, source, models, "1.0")


def test_a_source_that_was_only_touched_is_still_the_same(source: Path, models: Path) -> None:
    keep(source, models)
    os.utime(source, ns=(1, 1))
    assert find_tuned(source, models)


@pytest.mark.parametrize("contents", [b"other words", b"longer than it was"])
def test_a_source_that_has_changed_is_run_as_it_is(
    source: Path, models: Path, contents: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    record = keep(source, models)
    source.write_bytes(contents)
    os.utime(source, ns=(1, 1))
    assert find_tuned(source, models) is None
    assert not is_current(record, source, models, "1.0")
    assert "was made of another file" in caplog.text


def test_another_cpu_another_llama_cpp_or_half_a_file_does_not_hold(
    source: Path, models: Path
) -> None:
    record = keep(source, models)
    assert not is_current(record, source, models, "2.0")
    elsewhere = replace(record, machine="another")
    assert not is_current(elsewhere, source, models, "1.0")
    keep_tuned(source, models, elsewhere, None)
    assert find_tuned(source, models) is None
    keep(source, models)
    (tuned_folder(source, models) / "m.Q8_0.gguf").write_bytes(b"fa")
    assert find_tuned(source, models) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": 1}', "null"])
def test_a_damaged_record_is_none(source: Path, models: Path, text: str) -> None:
    keep(source, models)
    (tuned_folder(source, models) / "record.json").write_text(text)
    assert read_record(source, models) is None


def test_a_record_cannot_name_a_file_elsewhere(source: Path, models: Path) -> None:
    keep(source, models)
    path = tuned_folder(source, models) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"file": "../../m.gguf"}))
    assert find_tuned(source, models) is None


def test_the_file_that_was_kept_before_goes(source: Path, models: Path) -> None:
    keep(source, models)
    keep(source, models, file="m.F16.gguf")
    names = {path.name for path in tuned_folder(source, models).iterdir()}
    assert names == {"m.F16.gguf", "record.json"}
