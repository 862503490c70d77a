import json
from pathlib import Path

from llm_api.core.llm.files.installed import default_model_path
from tests.cli.command import llm_api


def test_the_doctor_names_what_could_be_faster_and_how(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "doctor", N_THREADS="4096")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "hint"}
    assert {"CPU", "threads", "GPU", "memory", "model", "embedding"} == {
        line.split()[1] for line in lines
    } - {"load"}  # told while other work holds the cores
    (threads,) = [line for line in lines if line.startswith("hint    threads ")]
    assert "change: N_THREADS=" in threads
    levels = [line.split()[0] for line in lines]
    assert levels == sorted(levels, key=["problem", "hint", "ok"].index)


def test_absurd_context_is_the_first_advice_with_the_exact_setting(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "doctor", "--json", CONTEXT_LENGTH="65536", PARALLEL="1")
    (first, *_) = [one for one in json.loads(done.stdout) if one["level"] != "problem"]
    assert (first["topic"], first["level"]) == ("context", "hint")
    assert first["change"] == "CONTEXT_LENGTH=8192"


def test_a_draft_model_is_counted_with_the_model_that_it_drafts_for(tmp_path: Path) -> None:
    small = str(default_model_path())
    done = llm_api(tmp_path, "doctor", "--model-path", small, DRAFT_MODEL=small)
    [memory] = [line for line in done.stdout.splitlines() if line.split()[1] == "memory"]
    assert ", draft model " in memory
    done = llm_api(tmp_path, "doctor", "--model-path", small, DRAFT_MODEL="absent.gguf")
    assert done.returncode == 1
    assert "absent.gguf" in done.stdout + done.stderr


def test_a_model_that_cannot_be_served_is_a_problem(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "doctor", "--model-path", "absent.gguf")
    assert done.returncode == 1
    assert "There is no model file at absent.gguf" in done.stdout


def test_a_model_not_fetched_yet_is_a_hint_with_the_command(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "doctor", MODEL_REPO_ID="o/r", MODEL_FILENAME="m.gguf")
    assert done.returncode == 0
    assert "change: llm-api models pull o/r m.gguf" in done.stdout


def test_a_model_elsewhere_needs_neither_llama_cpp_nor_an_answer(tmp_path: Path) -> None:
    done = llm_api(
        tmp_path,
        "doctor",
        LLM_BACKEND="vllm",
        OPENAI_MODEL="big",
        OPENAI_BASE_URL="http://user:sesame@127.0.0.1:9/v1",
        EMBEDDING_BACKEND="none",
    )
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    said = "big is answered by vllm at 127.0.0.1:9, which is not asked here"
    assert " ".join(line.split()) == f"ok model {said}"
