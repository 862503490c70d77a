"""Every setting, validated once, frozen. The only reader of the environment and of `.env`.

Knows where settings come from; their names, types and ranges are in `sections`.
"""

import os
import re
from typing import Final

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from llm_api.config.problems import explain
from llm_api.config.sections.access import AccessSettings
from llm_api.config.sections.embeddings import EmbeddingSettings
from llm_api.config.sections.files import FileSettings
from llm_api.config.sections.functions import FunctionSettings
from llm_api.config.sections.gateway import GatewaySettings, ResponseCacheSettings
from llm_api.config.sections.models import ModelSettings
from llm_api.config.sections.retrieval import RetrievalSettings
from llm_api.config.sections.server import (
    PlainSettings,
    RequestLogSettings,
    ServerSettings,
    TracingSettings,
)
from llm_api.config.sections.state import StateSettings
from llm_api.core.errors import LLMAPIError


class ConfigurationError(LLMAPIError):
    """A setting is wrong. `str(error)` is one line that names the environment variable."""

    code = "configuration_invalid"


class Settings(
    ResponseCacheSettings,
    FileSettings,
    StateSettings,
    RetrievalSettings,
    EmbeddingSettings,
    TracingSettings,
    PlainSettings,
    RequestLogSettings,
    AccessSettings,
    ServerSettings,
    FunctionSettings,
    GatewaySettings,
    ModelSettings,
    BaseSettings,
):
    """What `load_settings` returns. A field's environment name is its name in capitals.

    The sections stand in the reverse of the order in which their settings are documented.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        protected_namespaces=(),
    )

    @model_validator(mode="after")
    def _says_where_redis_is(self) -> "Settings":
        if self.response_cache == "redis" and self.redis_url is None:
            raise ValueError("RESPONSE_CACHE: redis needs REDIS_URL")
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from `overrides`, then the environment, then `.env`, then the defaults.

    An override of None counts as not given. Raises `ConfigurationError`; TypeError for an
    override that is no setting. Secret values are in no message and no chained error.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if unknown := given.keys() - Settings.model_fields.keys():
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        message = explain(error.errors()[0], Settings.model_fields)
    except OSError as error:
        message = f".env: cannot be read: {error.strerror}"
    # Outside the handlers, because a chained ValidationError carries the values, secrets included.
    raise ConfigurationError(message)


_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def revealed(secret: SecretStr, settings: Settings) -> SecretStr:
    """A secret of the configuration file: for `${NAME}` the value of that variable.

    A secret among the settings may come from `.env`, any other variable from the environment.
    Raises ConfigurationError where it is unset or empty.
    """
    text = secret.get_secret_value()
    if "${" not in text:
        return secret
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ConfigurationError("must be a text, or ${NAME} and nothing else")
    name = match[1]
    setting = getattr(settings, name.lower(), None)
    if isinstance(setting, SecretStr):
        return setting
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"the environment variable {name} must be set")
    return SecretStr(value)
