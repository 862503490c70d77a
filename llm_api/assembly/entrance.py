"""What every request passes first, out of the settings: who may come in, and what traces it."""

import logging
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import SecretStr

from llm_api.api.middleware.served_path import is_prefix
from llm_api.api.policy import LOOPBACK_HOSTS, Access
from llm_api.config.key_book import KeysFile
from llm_api.config.keys_file import WatchedKeys
from llm_api.config.sections.server import networks_of
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.access.counters import Counters, MemoryCounters
from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.keys import ApiKey, Keyring, Limits, digest_of
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.usage import UsageBook

if TYPE_CHECKING:
    from llm_api.api.request_spans import RequestTracer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entrance:
    """The limiter of `access` is the caller's to close; the tracer, if any, to be entered."""

    access: Access
    tracer: "RequestTracer | None"


def open_entrance(settings: Settings) -> Entrance:
    """Both, without a connection. Blocks. Raises what `open_access` and `open_tracing` raise."""
    return Entrance(open_access(settings), open_tracing(settings))


def open_access(settings: Settings) -> Access:
    """What the middleware goes by. Reads the file of keys; connects to nothing yet. Blocks.

    The limiter is the caller's to close. Raises ConfigurationError where the file is bad, or where
    others could reach a server that asks for no key.
    """
    keyring = _keyring(settings)
    if keyring is None and not (settings.allow_unauthenticated or is_loopback(settings.host)):
        raise ConfigurationError(
            f"HOST {settings.host}: anybody who reaches this address could use the server; set"
            " API_KEY or API_KEYS_FILE, or ALLOW_UNAUTHENTICATED=true"
        )
    root_path = settings.root_path.rstrip("/")
    if root_path and not is_prefix(root_path):
        raise ConfigurationError(
            f"ROOT_PATH: must be a path such as /llm, and none of the server's own, not {root_path}"
        )
    return Access(
        keyring=keyring,
        root_path=root_path,
        trusted_proxies=networks_of(settings.trusted_proxies),
        limiter=Limiter(_counters(settings.redis_url), fails_open=settings.rate_limit_fail_open),
        open_limits=_limits(settings),
        allowed_hosts=_allowed_hosts(settings, is_open=keyring is None),
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        keys=_administration(settings),
        usage=UsageBook() if keyring is not None and settings.usage_days > 0 else None,
    )


def warn_of_openness(settings: Settings) -> None:
    """Log that others reach a server that asks for no key, where the settings allow that."""
    has_keys = settings.api_key is not None or settings.api_keys_file is not None
    if not (has_keys or is_loopback(settings.host)):
        log.warning("HOST %s: anyone who reaches this address can use the server", settings.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on this address. Pure."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _keyring(settings: Settings) -> Keyring | None:
    if settings.api_key is None and settings.api_keys_file is None:
        return None
    fixed = _fixed_keys(settings)
    if settings.api_keys_file is None:
        return Keyring(fixed)
    return Keyring(fixed, WatchedKeys(settings.api_keys_file, _limits(settings)))


def _fixed_keys(settings: Settings) -> list[ApiKey]:
    if settings.api_key is None:
        return []
    digest = digest_of(settings.api_key.get_secret_value())
    # In capitals, as no name in the file is.
    return [ApiKey(name="API_KEY", digest=digest, limits=_limits(settings))]


def _administration(settings: Settings) -> KeyAdministration:
    file = settings.api_keys_file
    book = None if file is None else KeysFile(file)
    return KeyAdministration(book, _fixed_keys(settings), _limits(settings))


def _counters(redis_url: SecretStr | None) -> Counters:
    if redis_url is None:
        return MemoryCounters()
    # Imported where it is chosen: it takes longer than a start without it should.
    from llm_api.core.access.redis_counters import RedisCounters

    return RedisCounters(redis_url.get_secret_value())


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.key_requests_per_minute,
        settings.key_tokens_per_minute,
        settings.key_tokens_per_day,
        settings.key_concurrency,
    )


def _allowed_hosts(settings: Settings, *, is_open: bool) -> frozenset[str] | None:
    """Names of this machine and those of the settings; None, for any, where a key protects."""
    if not settings.allowed_hosts and not (is_open and is_loopback(settings.host)):
        return None
    own = f"[{settings.host}]" if ":" in settings.host else settings.host
    names = {own, *settings.allowed_hosts}
    return LOOPBACK_HOSTS | {name.lower() for name in names}


def open_tracing(settings: Settings) -> "RequestTracer | None":
    """A tracer to be entered; None where the settings want no traces: then nothing is imported.

    Raises ConfigurationError where its packages are not installed.
    """
    url = settings.traces_url
    if url is None:
        return None
    try:
        from llm_api.api.request_spans import RequestTracer, otlp_processor
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: traces need more packages: pip install 'llm_api[tracing]'"
        ) from error
    return RequestTracer(partial(otlp_processor, url), version("llm_api"))
