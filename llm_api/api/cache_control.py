"""What a request's `Cache-Control` asks for."""

from starlette.datastructures import Headers


def may_be_cached(headers: Headers) -> bool:
    """Whether the answer may be kept, and be one that was: unless it says `no-store`."""
    directives = ",".join(headers.getlist("cache-control")).lower().split(",")
    return "no-store" not in map(str.strip, directives)
