from pathlib import Path

import pytest

from llm_api.core.embeddings.doctor import diagnose_onnx, diagnose_sentence_transformers


@pytest.mark.parametrize(
    ("flags", "arithmetic"),
    [
        (frozenset({"avx2", "avx512_bf16"}), "bfloat16"),
        (frozenset({"asimd", "bf16"}), "bfloat16"),
        (frozenset({"avx512f"}), "float32"),
        (None, "float32"),
    ],
)
def test_the_arithmetic_is_what_the_cpu_has(flags: frozenset[str] | None, arithmetic: str) -> None:
    finding = diagnose_sentence_transformers("all-MiniLM-L6-v2", flags)
    assert finding.level == "ok"
    assert finding.text.endswith(arithmetic)
    assert "torch 2." in finding.text


def test_the_default_model_needs_no_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finding = diagnose_onnx("all-MiniLM-L6-v2")
    assert finding.level == "ok"
    assert "onnxruntime 1." in finding.text
    monkeypatch.setattr("sys.path", [str(tmp_path)])  # nothing is installed there
    finding = diagnose_onnx("all-MiniLM-L6-v2")
    assert (finding.level, finding.change) == ("hint", "make setup")


def test_packages_that_are_not_here_are_a_hint_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])  # nothing is installed there
    finding = diagnose_sentence_transformers("all-MiniLM-L6-v2", None)
    assert finding.level == "hint"
    assert "needs torch and sentence-transformers" in finding.text
    assert finding.change is not None
    assert "make embeddings" in finding.change
    assert "llm_api[embeddings]" in finding.change
