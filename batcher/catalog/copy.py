"""The descriptions that come with batcher, parsed once: kept beside them as Python keeps what it has compiled."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import sys
from pathlib import Path

from batcher import document
from batcher.document import Document, read_document
from batcher.model import Json
from batcher.version import VERSION


def read_built_in(path: Path, schema: Json) -> Document:
    """
    As `read_document`, for a file of the package: its YAML is parsed when it, its schema or the parser has changed.

    The copy lies in `__pycache__`, and is trusted and left unwritten just as compiled modules are.
    """
    copy = Path(importlib.util.cache_from_source(str(path))).with_suffix(".parsed")
    mark = _mark(path, schema)
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
        known, value, places = marshal.loads(copy.read_bytes())  # noqa: S302 - as far as a compiled module
        if known == mark:
            return Document(name=path.name, value=value, places=places)
    found = read_document(path, schema)
    if not sys.dont_write_bytecode:
        _keep(copy, marshal.dumps((mark, found.value, dict(found.places))))
    return found


def _mark(path: Path, schema: Json) -> bytes:
    """Changes with all that the document depends on."""
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16)
    digest.update(f"{VERSION}{schema!r}".encode())
    digest.update(Path(document.__file__).read_bytes())
    return digest.digest()


def _keep(copy: Path, content: bytes) -> None:
    """Write it whole or not at all; a package that cannot be written to is parsed every time."""
    aside = copy.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        copy.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(copy)
