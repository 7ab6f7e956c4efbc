"""Imports point downwards, foreign libraries have one owner, and only the command line prints."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher import errors

PACKAGE = Path(errors.__file__).parent

LAYERS = (
    ("cli",),
    ("cluster",),
    ("notebook", "ops"),
    ("run",),
    (
        "consent",
        "dispatcher",
        "downloads",
        "ending",
        "links",
        "progress",
        "reconciler",
        "sampling",
        "uploads",
        "writing",
    ),
    ("answers", "batches", "chain", "doubts", "journal", "opening", "renewal", "rescue"),
    ("open_job",),
    ("gsheets", "remote"),
    ("adoption", "inplace", "planner", "witness"),
    ("plan", "rehearsal", "results", "starter"),
    ("carried", "filenames", "lines", "listening", "lists", "live", "twins", "wanted"),
    ("bound", "expiry", "flight", "lease", "senders", "surroundings"),
    ("bound_step", "filing", "finding", "lineage", "outlook", "project"),
    ("marks",),
    (
        "api",
        "doubt",
        "fetch",
        "inbox",
        "layout",
        "ledger",
        "limits",
        "mapping",
        "oddities",
        "pacing",
        "persons",
        "price",
        "report",
        "stops",
        "workbook",
    ),
    ("catalog", "files", "job", "sheet", "simulator"),
    ("reader",),
    ("document", "media"),
    ("copies", "fault", "google_link", "hosts", "pattern", "schema", "units"),
    ("stores",),
    ("model",),
    ("clocks", "errors", "idle"),
    ("version",),
)
"""Top to bottom: a room imports from the layers below its own, and from itself. Rooms of one layer do not know each other."""

OWNERS = {
    "adlfs": ("stores.backend",),
    "aiohttp": ("simulator", "stores.backend"),
    "apprise": ("ops.notify",),
    "azure": ("stores.backend",),
    "botocore": ("stores.backend",),
    "charset_normalizer": ("sheet",),
    "click": ("cli",),
    "csv": ("sheet",),
    "defusedxml": ("sheet",),
    "dotenv": ("api.account",),
    "fsspec": ("stores.backend",),
    "gcsfs": ("stores.backend",),
    "google": ("gsheets.api", "stores.backend"),
    "gspread": ("gsheets.api",),
    "jinja2": ("mapping.expression", "report"),
    "jmespath": ("catalog.pick",),
    "jsonschema_rs": ("schema", "simulator"),
    "lxml": ("workbook",),
    "openpyxl": ("sheet", "workbook"),
    "pandas": ("sheet", "notebook"),
    "procrastinate": ("cluster.queue",),
    "prometheus_client": ("cluster.metrics",),
    "psycopg": ("ledger.attendance", "ledger.postgres", "ledger.server"),
    "python_calamine": ("sheet",),
    "requests": ("api", "fetch", "gsheets.api"),
    "sqlite3": ("ledger",),
    "tqdm": ("cli",),
    "urllib3": ("api", "fetch"),
    "xlsxwriter": ("sheet",),
    "yaml": ("document",),
}
"""Who may import a library. What is neither here nor Python's own is used by nobody."""

EVERYWHERE = ("msgspec",)
"""What values are made of, as dataclasses would be: part of the language for us."""

PRINTERS = ("cli", "simulator")
_RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
_DYNAMIC = ("import_module", "__import__")


def modules() -> dict[str, str]:
    """Every module of the package without `batcher.` before it, and its text."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return {name: text for name, text in found.items() if name != "__init__"}


MODULES = modules()


def room(module: str) -> str:
    """The first part of a module's name: `sheet` for `sheet.csv`."""
    return module.split(".")[0]


def imported(module: str, text: str, *, is_package: bool = False) -> Iterator[str]:
    """
    Everything a module imports, wherever and however it is spelled; names of ours begin with `batcher.`.

    A name that is put together while the program runs counts as far as it is constant; `?` stands for one that is not.
    """
    here = ["batcher", *module.split(".")]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in _DYNAMIC:
            yield _constant(node.args[0]) if node.args else "?"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr) and node.values:
        return _constant(node.values[0])
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "?"


def upward(module: str, text: str, **rest: bool) -> list[str]:
    """Imports of ours that do not point to a lower layer or stay in the room."""
    wrong = []
    for name in imported(module, text, **rest):
        parts = name.split(".")
        if parts[0] != "batcher" and name != "?":
            continue
        target = parts[1] if len(parts) > 1 else "?"
        if target != room(module) and _RANK.get(target, -1) <= _RANK[room(module)]:
            wrong.append(name)
    return wrong


def strangers(module: str, text: str) -> list[str]:
    """Libraries that the module has no business with."""
    wrong = []
    for name in imported(module, text):
        library = name.split(".")[0]
        owners = OWNERS.get(library)
        if owners is None and (library in sys.stdlib_module_names or library in ("batcher", "?", *EVERYWHERE)):
            continue
        if not any(f"{module}.".startswith(f"{owner}.") for owner in owners or ()):
            wrong.append(library)
    return wrong


def speaks(module: str, text: str) -> bool:
    """Whether a module prints, or writes to the standard streams, without being one that may."""
    if room(module) in PRINTERS:
        return False
    tree = ast.walk(ast.parse(text))
    return any(
        (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print")
        or (isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and _name(node.value) == "sys")
        for node in tree
    )


def test_every_module_has_its_place() -> None:
    """A new room is placed before it is moved into, and a place without a room is cleared."""
    assert {room(module) for module in MODULES} - set(_RANK) == set()


def test_no_room_stands_in_two_layers() -> None:
    """The table is an order."""
    assert len(_RANK) == sum(map(len, LAYERS))


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module: str) -> None:
    """Wherever in the file they stand."""
    is_package = (PACKAGE / module.replace(".", "/")).is_dir()
    assert upward(module, MODULES[module], is_package=is_package) == []


@pytest.mark.parametrize("module", MODULES)
def test_foreign_libraries_stay_with_their_owner(module: str) -> None:
    """Other rooms see our nouns: a Row, never a DataFrame."""
    assert strangers(module, MODULES[module]) == []


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_for_the_type_checker_alone(module: str) -> None:
    """It would smuggle a cycle past the order."""
    assert "TYPE_CHECKING" not in MODULES[module]


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_prints(module: str) -> None:
    """Verbs report through a callback."""
    assert not speaks(module, MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_input_is_not_checked_by_assert(module: str) -> None:
    """`python -O` would leave the check out."""
    assert not [node.lineno for node in ast.walk(ast.parse(MODULES[module])) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    "text",
    [
        "import batcher.run",
        "import batcher.run as r",
        "from batcher import run",
        "from batcher.run import Run",
        "from ..run import Run",
        "from .. import run",
        "def f():\n    from batcher.run import Run",
        "if x:\n    import batcher.cli.main",
        "import importlib\nimportlib.import_module('batcher.run')",
        "from importlib import import_module\nimport_module('batcher.cli.main')",
        "__import__('batcher.run')",
        "importlib.import_module(f'batcher.cli.{name}')",
        "importlib.import_module(name)",
        "from batcher.api import client",
        "from batcher.nowhere import x",
    ],
)
def test_an_upward_import_is_found_however_it_is_spelled(text: str) -> None:
    """The canary of the order: all of these would be wrong in the mapping."""
    assert upward("mapping.tree", text)


@pytest.mark.parametrize(
    "text",
    [
        "from batcher.model import Row",
        "from .leaf import Leaf",
        "from batcher.mapping import leaf",
        "import json",
        "from ..errors import Stopped",
    ],
)
def test_a_downward_import_is_let_through(text: str) -> None:
    """The same room and the layers below."""
    assert upward("mapping.tree", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import requests",
        "from urllib3.util import Retry",
        "def f():\n    import yaml",
        "import pandas as pd",
        "import somebody_elses",
    ],
)
def test_a_foreign_library_is_found_outside_its_room(text: str) -> None:
    """The canary of the owners."""
    assert strangers("mapping.tree", text)
    assert not strangers("api.wire", "import requests")


@pytest.mark.parametrize(
    "text", ["print(1)", "def f():\n    print('x')", "import sys\nsys.stdout.write('x')", "sys.stderr.flush()"]
)
def test_a_print_is_found(text: str) -> None:
    """The canary of silence."""
    assert speaks("mapping.tree", text)
    assert not speaks("cli.main", text)


def drawn_tree(drawing: str) -> dict[str, str]:
    """Class to its parent, as the drawing at the head of `errors.py` has them."""
    parents: dict[str, str] = {}
    line_of: list[tuple[int, str]] = []
    for line in drawing.splitlines():
        found = re.match(r"( {4}[│├└─ ]*)([A-Z]\w+)(?: {2,}(\S.*))?$", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        while line_of and line_of[-1][0] >= depth:
            line_of.pop()
        parents[name] = line_of[-1][1] if line_of else "Exception"
        line_of.append((depth, name))
    return parents


def test_the_drawing_of_the_errors_is_true() -> None:
    """The tree that the module opens with is the tree that it defines."""
    defined = {
        name: each.__base__.__name__
        for name, each in vars(errors).items()
        if isinstance(each, type)
        and issubclass(each, Exception)
        and each.__base__
        and each.__module__ == errors.__name__
    }
    assert drawn_tree(errors.__doc__ or "") == defined


def test_the_drawing_tells_the_exit_codes() -> None:
    """`exit 2` beside a class is the code that it brings."""
    told = re.findall(r"([A-Z]\w+) +.*exit (\d+)$", errors.__doc__ or "", flags=re.MULTILINE)
    assert len(told) >= 4
    assert {name: int(code) for name, code in told} == {name: int(getattr(errors, name).exit) for name, _ in told}
