"""The table of who may reach what, and that it covers what there is."""

from collections.abc import Iterable, Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from llm_api.api.policy import POLICY, rule_of
from llm_api.core.access.keys import Scope


def paths_of(routes: Iterable[object], prefix: str = "") -> Iterator[str]:
    """The paths of routes, of mounts, and of the routers among them, described or not."""
    for route in routes:
        if isinstance(route, Route | Mount):
            yield prefix + route.path
        else:
            router = route.original_router  # type: ignore[attr-defined]
            nested = [one for one in router.routes if not isinstance(one, Route | Mount)]
            yield from paths_of([one for one in router.routes if one not in nested], prefix)
            yield from paths_of(nested, prefix + router.prefix)


def test_every_route_has_a_rule_of_its_own(app: FastAPI) -> None:
    paths = {*paths_of(app.routes), *app.openapi()["paths"]}
    assert {"/health", "/v1/chat/completions", "/mcp", "/docs", "/openapi.json"} <= paths
    assert [path for path in paths if rule_of(path) is None] == []
    assert set(POLICY) == {rule_of(path) for path in paths}


def test_only_the_page_and_what_says_that_the_server_runs_is_public() -> None:
    public = [rule.path for rule in POLICY if rule.is_public]
    assert public == ["/", "/assets", "/health", "/health/ready", "/api/version"]


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("/v1/chat/completions", {"generate"}),
        ("/v1/chat/completions/", {"generate"}),
        ("/v1/completions", {"generate"}),
        ("/v1/embeddings", {"embed"}),
        ("/v1/functions", {"functions"}),
        ("/v1/functions/get_weekday", {"functions"}),
        ("/mcp", {"functions"}),
        ("/v1/rag/search", {"rag"}),
        ("/v1/rag/files", {"rag"}),
        ("/v1/files", {"rag"}),
        ("/v1/files/file-1/content", {"rag"}),
        ("/v1/uploads/upload_1/parts", {"rag"}),
        ("/v1/rag/chat", {"rag", "generate"}),
        ("/v1/rag/chatter", {"rag"}),
        ("/v1/models", set()),
        ("/v1/models/owner/name", set()),
        ("/docs/assets/x.js", set()),
    ],
)
def test_a_path_needs_its_scopes(path: str, scopes: set[Scope]) -> None:
    rule = rule_of(path)
    assert rule is not None
    assert (set(rule.scopes), rule.is_public) == (scopes, False)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "//health",
        "/health/",
        "/health/x",
        "/health/../v1/models",
        "/Health",
        "/healthy",
        "/V1/models",
        "/v1",
        "/v1/modelsx",
        "//v1/models",
        "/v1//models",
        "/./v1/models",
        "/openapi.jsonx",
    ],
)
def test_what_has_no_rule_is_not_served(path: str) -> None:
    assert rule_of(path) is None


def test_files_alone_may_be_large() -> None:
    assert [rule.path for rule in POLICY if rule.takes_files] == [
        "/v1/files",
        "/v1/uploads",
        "/v1/rag/files",
    ]
    files, others = rule_of("/v1/rag/files"), rule_of("/v1/rag/search")
    assert files is not None
    assert others is not None
    assert (files.takes_files, others.takes_files) == (True, False)
