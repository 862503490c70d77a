"""Finds and imports the plugins: the built-in folder, a folder of files, packages.

A plugin is code that runs in this process with all its rights: only the operator of the server may
name them. One that cannot be imported is a problem in the catalog, and takes nothing down.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final
from uuid import uuid4

from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.one_line import describe
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import Declaration, FunctionRegistry, is_within
from llm_api.core.functions.types import Origin, Problem

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP: Final = "llm_api.functions"
BUILTIN_PACKAGE: Final = "llm_api.core.functions.builtin"
_FILE_MODULES: Final = "llm_api_function_files"
_PACKAGES_OF_PLUGINS: Final = (BUILTIN_PACKAGE, _FILE_MODULES)


@dataclass(frozen=True, slots=True)
class Plugin:
    """Something to import. What `module`, or a module below it, registers comes from `origin`."""

    origin: Origin
    module: str
    load: Callable[[], object]


def builtin_plugins(package: str = BUILTIN_PACKAGE) -> Iterator[Plugin]:
    """The files of a package of this distribution, each a plugin."""
    folders = import_module(package).__path__
    for path in _files(Path(folders[0])):
        module = f"{package}.{path.stem}"
        yield Plugin(Origin("built_in", path.name), module, partial(import_module, module))


def file_plugins(folder: Path) -> Iterator[Plugin]:
    """The files of a folder, each a separate module that nothing else can import.

    They are imported anew for each catalog, so their modules have fresh names.
    """
    for path in _files(folder):
        module = f"{_FILE_MODULES}.{uuid4().hex}.{path.stem}"
        yield Plugin(Origin("file", path.name), module, partial(_import_file, path, module))


def package_plugins() -> Iterator[Plugin]:
    """What installed distributions name under the entry point group `llm_api.functions`."""
    found = entry_points(group=ENTRY_POINT_GROUP)
    for entry in sorted(found, key=lambda entry: (_distribution(entry), entry.name)):
        module = entry.value.partition(":")[0].strip()
        package = module.rpartition(".")[0] or module
        yield Plugin(Origin("package", _distribution(entry)), package, entry.load)


def load_plugins(
    plugins: Iterable[Plugin],
    registry: FunctionRegistry,
    catalog: FunctionCatalog,
    threads: FunctionThreads,
) -> None:
    """Add to the catalog what the plugins register, then what else the program has registered.

    Blocks. Raises nothing that a plugin raises: that is a problem in the catalog.
    """
    known: set[Declaration] = set()
    for plugin in plugins:
        if (error := _failure(plugin, registry)) is not None:
            catalog.report(Problem(plugin.origin, describe(error)))
            continue
        own = [one for one in registry.declarations() if is_within(one.module, plugin.module)]
        if not own:
            catalog.report(Problem(plugin.origin, "registers no function."))
        for one in own:
            if one not in known:
                catalog.add(PythonFunction(one, plugin.origin, threads))
        known.update(own)
    for one in registry.declarations():
        # A file that another catalog in this process has loaded is not the program's.
        is_plugin = any(is_within(one.module, package) for package in _PACKAGES_OF_PLUGINS)
        if one not in known and not is_plugin:
            catalog.add(PythonFunction(one, Origin("program", one.module), threads))


def _failure(plugin: Plugin, registry: FunctionRegistry) -> BaseException | None:
    """Import a plugin; what it raised, in which case nothing of it stays registered."""
    try:
        with registry.all_or_nothing():
            plugin.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the border; `sys.exit()` is no Exception
        logger.debug("the plugin %s cannot be imported", plugin.origin.name, exc_info=error)
        return error
    return None


def _distribution(entry: EntryPoint) -> str:
    """Its name, or that of the entry where the installation is broken."""
    return (entry.dist and entry.dist.name) or entry.name


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if path.is_file() and path.name[0] != "_")


def _import_file(path: Path, name: str) -> None:
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python module")
    module = module_from_spec(spec)
    # Dataclasses and Pydantic models look for the names in their annotations here.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
