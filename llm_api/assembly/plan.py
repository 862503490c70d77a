"""What is to be served: read and checked once at a start, then handed on. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

from llm_api.assembly.functions import FunctionOptions, function_options
from llm_api.assembly.local_models import FoundModel, find_models
from llm_api.config.chosen_models import ChosenModels, chosen_models
from llm_api.config.config_file import configuration_of
from llm_api.config.effective import effective_configuration
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.llm.types import JSON


@dataclass(frozen=True, slots=True)
class Plan:
    """What the settings and their configuration file mean, as they were when they were read.

    `configuration` is what `GET /config` shows of them. `files` are those of `models.gguf`,
    in its order; None while nobody has looked for them. Can be sent to another process.
    """

    settings: Settings
    models: ChosenModels
    functions: FunctionOptions
    configuration: Mapping[str, JSON]
    files: tuple[FoundModel, ...] | None = None

    def find_files(self) -> tuple[FoundModel, ...]:
        """The files as they were found, or found now and fetched if they have to be. Blocks.

        Raises what `find_models` raises.
        """
        return find_models(self.models) if self.files is None else self.files

    def with_files(self) -> "Plan":
        """The plan that holds its files. Blocks. Raises what `find_models` raises."""
        return replace(self, files=self.find_files())


def plan(settings: Settings) -> Plan:
    """Read the configuration file, and check what it and the settings say. Blocks.

    Looks for no model, contacts no server. Raises ConfigurationError.
    """
    file = configuration_of(settings)
    models = chosen_models(settings, file)
    _check_workers(settings.workers, models)
    _check_database(settings)
    _check_ocr(settings)
    return Plan(
        settings,
        models,
        function_options(settings, file),
        effective_configuration(settings, file),
    )


def _check_workers(workers: int, chosen: ChosenModels) -> None:
    """Raises ConfigurationError where several processes would each compute a model."""
    engines = [model for model in chosen.models if model.backend.is_engine]
    if workers > 1 and engines:
        name, kind = engines[0].name or "the model", engines[0].backend.kind
        raise ConfigurationError(
            f"WORKERS: must be 1, not {workers}: {name} runs in this process ({kind}), and every"
            " worker would load it again and compute at the others' cost"
        )


def _check_ocr(settings: Settings) -> None:
    """Raises ConfigurationError where what recognises text is not installed."""
    if settings.rag_ocr != "off" and find_spec("rapidocr") is None:
        raise ConfigurationError("RAG_OCR: it needs more packages: pip install 'llm_api[ocr]'")


def _check_database(settings: Settings) -> None:
    """Raises ConfigurationError where what PostgreSQL is reached with is not installed."""
    if settings.database_url is not None and find_spec("asyncpg") is None:
        raise ConfigurationError(
            "DATABASE_URL: PostgreSQL needs more packages: pip install 'llm_api[postgresql]'"
        )
