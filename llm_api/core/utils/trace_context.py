"""What requests to other servers carry of the trace that they belong to."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

outgoing_trace: Final[ContextVar[Mapping[str, str]]] = ContextVar(
    "outgoing_trace", default=MappingProxyType({})
)
"""Headers (W3C Trace Context) that go with what is asked on behalf of this request; or none."""
