import socket
from pathlib import Path

import pytest

from llm_api.api.policy import Access
from llm_api.assembly.local_models import find_models
from llm_api.assembly.plan import plan
from llm_api.assembly.retrieval import tell_unreachable_store
from llm_api.assembly.services import open_services
from llm_api.config.chosen_models import ChosenModels, choose_models
from llm_api.config.settings import ConfigurationError, Settings, load_settings
from llm_api.core.errors import ModelFileError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.types import (
    GenerationRequest,
    RequestContext,
    Sampling,
    ServedBy,
    Started,
    TextPrompt,
)
from tests.core.llm.tiny_gguf import write_gguf


def settings_with(folder: Path, text: str, **others: object) -> Settings:
    path = folder / "models.yaml"
    path.write_text(text)
    return load_settings(config_file=path, **others)


def chosen(folder: Path, text: str) -> ChosenModels:
    return choose_models(settings_with(folder, text))


def test_a_card_says_what_the_file_says_of_its_model(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    text = "models: {a: {path: m.gguf, context_length: 99, max_tokens: 7, temperature: 1}}"
    [model] = find_models(chosen(tmp_path, text))
    assert (model.card.id, model.card.context_length) == ("a", 99)
    assert model.card.defaults == GenerationDefaults(7, 1)
    assert not model.loads_at_startup


def test_the_one_model_of_the_environment_goes_by_its_file_and_is_loaded_at_the_start() -> None:
    [model] = find_models(choose_models(load_settings(model_path=default_model_path())))
    assert model.card.id == default_model_path().stem
    assert model.card.defaults == GenerationDefaults()
    assert model.loads_at_startup


@pytest.mark.parametrize(("threads", "adapts"), [(None, True), (2, False)])
def test_the_number_of_threads_follows_the_load_unless_it_is_set(
    threads: int | None, adapts: bool
) -> None:
    settings = load_settings(model_path=default_model_path(), n_threads=threads)
    [model] = find_models(choose_models(settings))
    assert model.options.context.adapts_threads is adapts


def test_a_file_that_is_not_there_is_refused_at_the_place_that_names_it(tmp_path: Path) -> None:
    text = "models: [{name: a, default: true}, {name: b, path: absent.gguf}]"
    with pytest.raises(ModelFileError) as caught:
        find_models(chosen(tmp_path, text))
    assert str(caught.value) == (
        f"models.yaml: models[1]: There is no model file at {tmp_path / 'absent.gguf'}."
    )


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        (
            "{name: a, default: true, context_length: 2048, parallel: 3}",
            "models.yaml: models[0]: a needs about 271 MB of memory",
        ),
        (
            ", ".join(
                f"{{name: {x}, default: true, context_length: 512, parallel: 1, load: startup}}"
                for x in "ab"
            ),
            "the models that are loaded at the start need about 273 MB of memory",
        ),
    ],
)
def test_models_that_never_fit_are_refused(tmp_path: Path, entries: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_models(chosen(tmp_path, f"memory: 250MB\nmodels: [{entries}]"))
    assert str(caught.value).startswith(line)
    assert "and models may take 250 MB" in str(caught.value)


def test_a_model_that_the_machine_cannot_bear_is_refused_with_what_would_fit() -> None:
    settings = load_settings(model_path=default_model_path(), context_length=100_000_000)
    with pytest.raises(ConfigurationError, match=r"of memory: weights 98 MB, 800000000 KV tokens"):
        find_models(choose_models(settings))
    with pytest.raises(ConfigurationError, match=r"are free: set CONTEXT_LENGTH=\d+, or end"):
        find_models(choose_models(settings))


def test_the_context_is_what_the_model_was_trained_for_and_takes_no_more_than_2048_for_each() -> (
    None
):
    [model] = find_models(choose_models(load_settings(model_path=default_model_path())))
    assert (model.card.context_length, model.options.context_length) == (8192, 8192)
    assert model.options.kv_tokens == 8 * 2048
    old = load_settings(model_path=default_model_path(), context_length=2048)
    [model] = find_models(choose_models(old))
    assert (model.card.context_length, model.options.kv_tokens) == (2048, None)


def test_models_that_fit_one_at_a_time_are_accepted(tmp_path: Path) -> None:
    entry = "default: true, parallel: 1, context_length: 2048"
    text = f"memory: 250MB\nmodels: {{a: {{{entry}}}, b: {{{entry}}}}}"
    assert [model.card.id for model in find_models(chosen(tmp_path, text))] == ["a", "b"]


async def test_functions_are_there_and_what_could_not_be_loaded_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    write_gguf(tmp_path / "m.gguf")
    text = "models: {a: {path: m.gguf}}"
    settings = settings_with(tmp_path, text, functions_dir=tmp_path)
    async with open_services(plan(settings), Access()) as services:
        names = {function.spec.name for function in services.functions.catalog.functions()}
    assert {"get_weather", "get_weekday"} <= names
    assert "functions: broken.py: ZeroDivisionError: division by zero" in caplog.messages


async def test_services_are_ready_once_the_startup_models_are_loaded(tmp_path: Path) -> None:
    text = "models: {a: {default: true, load: startup, parallel: 1, context_length: 64}}"
    settings = settings_with(tmp_path, text)
    async with open_services(plan(settings), Access()) as services:
        readiness = [services.is_ready]
        await services.models.load_startup_models()
        readiness.append(services.is_ready)
    readiness.append(services.is_ready)
    assert readiness == [False, True, False]


async def test_every_model_answers_from_the_cache_that_the_settings_ask_for(
    tmp_path: Path,
) -> None:
    text = "models: {a: {backend: stub}, b: {backend: stub}}"
    settings = settings_with(tmp_path, text, response_cache="memory")
    request = GenerationRequest(
        TextPrompt("Hi"), 5, Sampling(temperature=0), context=RequestContext(may_be_cached=True)
    )
    uses = []
    async with open_services(plan(settings), Access()) as services:
        for name in "aba":
            events = [one async for one in services.models.resolve(name).generate(request)]
            assert isinstance(events[0], Started)
            uses.append(events[0].served_by)
    assert uses == [ServedBy("stub", cache=use) for use in ("miss", "miss", "hit")]


async def test_a_store_that_does_not_answer_is_told_with_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings = load_settings(qdrant_url=f"http://name:secret@127.0.0.1:{port}")
        await tell_unreachable_store(settings)
        further = load_settings(
            qdrant_url="http://127.0.0.1:1", qdrant_further_urls=f"http://127.0.0.1:{port}"
        )
        await tell_unreachable_store(further)  # one node is enough
        assert caplog.messages == []
    await tell_unreachable_store(settings)
    [message] = caplog.messages
    assert message.startswith(f"Qdrant at 127.0.0.1:{port} does not answer (")
    assert "secret" not in message
    await tell_unreachable_store(load_settings())
    assert len(caplog.messages) == 1
