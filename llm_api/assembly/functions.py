"""Every function of a service put together: built in, from files, packages and MCP servers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from llm_api.config.config_file import ConfigFile
from llm_api.config.settings import Settings
from llm_api.core.functions.builtin.weather.functions import Weather
from llm_api.core.functions.builtin.weather.open_meteo import open_meteo
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.mcp_servers import MCPServer
from llm_api.core.functions.plugins import (
    builtin_plugins,
    file_plugins,
    load_plugins,
    package_plugins,
)
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare, function_registry
from llm_api.core.functions.runner import FunctionRunner, Functions
from llm_api.core.functions.types import Origin


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """Where functions come from, and what limits them."""

    folder: Path | None
    timeout_seconds: float
    result_bytes: int
    max_rounds: int
    weather_geocoding_url: str
    weather_forecast_url: str
    mcp_servers: tuple[MCPServer, ...] = ()


def function_options(settings: Settings, file: ConfigFile | None) -> FunctionOptions:
    """What the settings and their configuration file say of functions. Pure."""
    return FunctionOptions(
        folder=settings.functions_dir,
        timeout_seconds=settings.function_timeout_seconds,
        result_bytes=settings.function_result_bytes,
        max_rounds=settings.max_tool_rounds,
        weather_geocoding_url=str(settings.weather_geocoding_url),
        weather_forecast_url=str(settings.weather_forecast_url),
        mcp_servers=_chosen_servers(settings.config_file, file),
    )


def _chosen_servers(path: Path | None, file: ConfigFile | None) -> tuple[MCPServer, ...]:
    """A relative folder of a server starts at that of the file."""
    if path is None or file is None:
        return ()
    return tuple(entry.server(name, path.parent) for name, entry in file.mcp_servers.items())


@asynccontextmanager
async def open_functions(options: FunctionOptions) -> AsyncGenerator[Functions, None]:
    """Import every plugin, connect to every MCP server. A failure is a problem in the catalog.

    Belongs to the running event loop. The weather and the MCP servers end with the block.
    """
    catalog, threads = FunctionCatalog(), FunctionThreads()
    async with open_meteo(
        options.weather_geocoding_url,
        options.weather_forecast_url,
        # Two requests, and time left to say which of them took too long.
        timeout_seconds=options.timeout_seconds / 3,
    ) as service:
        # Bound methods, since they need a client: registered here and not by a decorator.
        weather = Weather(service)
        for function in (weather.get_weather, weather.get_weather_forecast):
            origin = Origin("built_in", "weather")
            catalog.add(PythonFunction(declare(function), origin, threads))
        files = () if options.folder is None else file_plugins(options.folder)
        plugins = chain(builtin_plugins(), files, package_plugins())
        await asyncio.to_thread(load_plugins, plugins, function_registry, catalog, threads)
        runner = FunctionRunner(options.timeout_seconds, options.result_bytes)
        async with _mcp_servers(options.mcp_servers, catalog):
            yield Functions(catalog, runner, options.max_rounds)


def _mcp_servers(
    servers: tuple[MCPServer, ...], catalog: FunctionCatalog
) -> AbstractAsyncContextManager[None]:
    if not servers:
        return nullcontext()
    # The SDK takes a third of a second to import: only for those who use it.
    from llm_api.core.functions.mcp_functions import open_mcp_servers  # noqa: PLC0415

    return open_mcp_servers(servers, catalog)
