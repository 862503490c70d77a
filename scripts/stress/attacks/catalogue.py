"""All attacks."""

from scripts.stress.attacks import (
    cancelled_ingests,
    chat_templates,
    grammars,
    large_schemas,
    pipelining,
    stopped_store,
    trailers,
)

_MODULES = (
    grammars,
    large_schemas,
    trailers,
    pipelining,
    chat_templates,
    cancelled_ingests,
    stopped_store,
)
ATTACKS = tuple(module.ATTACK for module in _MODULES)
