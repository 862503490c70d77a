from types import SimpleNamespace

import pytest

from llm_api.core.llm.engine.llama_library import load_backends


@pytest.mark.parametrize(("linked", "loaded"), [(0, [b"/lib/llama_cpp/lib"]), (1, [])])
def test_kernels_come_from_the_folder_of_llama_cpp_unless_they_are_linked_in(
    linked: int, loaded: list[bytes]
) -> None:
    folders: list[bytes] = []
    ggml = SimpleNamespace(
        ggml_backend_reg_count=lambda: linked, ggml_backend_load_all_from_path=folders.append
    )
    load_backends(SimpleNamespace(_lib=ggml, _base_path="/lib/llama_cpp/lib"))
    assert folders == loaded
