"""What names of hub models mean, and which file of a repository is chosen."""

import pytest

from llm_api.core.errors import InvalidRequestError, NotOnHubError
from llm_api.core.llm.files.hub_names import HubName, choose_file, to_hub_name

FILES = ["m-Q4_K_M.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "mmproj.gguf"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("owner/repo/m.gguf", HubName("owner/repo", "m.gguf")),
        ("owner/repo/sub/m.gguf", HubName("owner/repo", "sub/m.gguf")),
        ("hf.co/owner/repo:Q8_0", HubName("owner/repo", None, "Q8_0")),
        ("huggingface.co/owner/repo:latest", HubName("owner/repo")),
        ("owner/repo", HubName("owner/repo")),
    ],
)
def test_a_name_means_a_model_of_the_hub(name: str, meant: HubName) -> None:
    assert to_hub_name(name) == meant


@pytest.mark.parametrize(
    "name", ["llama3.2", "llama3.2:1b", "owner/..", "owner/repo/../../etc.gguf", "a.com/o/r", ""]
)
def test_what_names_no_repository_is_not_on_the_hub(name: str) -> None:
    with pytest.raises(NotOnHubError, match="owner/repository"):
        to_hub_name(name)


@pytest.mark.parametrize(
    "name", ["http://169.254.169.254/x/m.gguf", "https://hf.co/o/r", "a" * 301]
)
def test_no_other_address_can_be_named(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="from no other address"):
        to_hub_name(name)


@pytest.mark.parametrize(
    ("quantisation", "file"),
    [
        (None, "m-Q4_K_M.gguf"),
        ("q4_k_m", "m-Q4_K_M.gguf"),
        ("Q8_0", "m-Q8_0-00001-of-00002.gguf"),
    ],
)
def test_file_of_a_quantisation_is_chosen(quantisation: str | None, file: str) -> None:
    assert choose_file("owner/repo", FILES, quantisation) == file


def test_only_file_is_chosen_whatever_its_quantisation() -> None:
    assert choose_file("owner/repo", ["a.Q2_K.gguf", "mmproj-a.gguf"], None) == "a.Q2_K.gguf"


@pytest.mark.parametrize("files", [["a.gguf", "b.gguf"], ["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"]])
def test_what_is_not_clear_is_answered_with_the_candidates(files: list[str]) -> None:
    with pytest.raises(NotOnHubError, match=f"{files[0]}, {files[1]}"):
        choose_file("owner/repo", files, None)


def test_repository_without_a_model_says_so() -> None:
    with pytest.raises(NotOnHubError, match="no GGUF file"):
        choose_file("owner/repo", ["mmproj.gguf"], None)
