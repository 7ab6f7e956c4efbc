"""The parsed copy of a description that came with batcher: quicker, and never another description."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from batcher.catalog.copy import read_built_in
from batcher.catalog.load import FOLDER, catalog_schema
from batcher.document import Document, read_document

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A description, where Python may keep what it has compiled."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    path = tmp_path / "acme.yaml"
    path.write_text("name: Acme\n", encoding="utf-8")
    return path


def copies(file: Path) -> list[Path]:
    """All copies of it."""
    return [path for path in (file.parent / "kept").rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_copy_says_what_the_description_says(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and places alike, for everything that comes with batcher."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))

    first, second = (read_built_in(path, catalog_schema()) for _ in range(2))

    assert first == second == read_document(path, catalog_schema())


def test_the_copy_is_taken_as_long_as_nothing_has_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The YAML is not parsed a second time."""
    before = read_built_in(file, SCHEMA)

    def parse(*_: object) -> Document:
        raise AssertionError("parsed again")

    monkeypatch.setattr("batcher.catalog.copy.read_document", parse)

    assert read_built_in(file, SCHEMA) == before


def test_a_changed_description_is_read_anew(file: Path) -> None:
    """By its bytes, not by its date."""
    read_built_in(file, SCHEMA)
    file.write_text("name: Acne\n", encoding="utf-8")

    assert read_built_in(file, SCHEMA).value == {"name": "Acne"}


@pytest.mark.parametrize("content", [b"", b"\xff", b"()", b"i\x01\x00\x00\x00"])
def test_a_damaged_copy_is_no_hindrance(file: Path, content: bytes) -> None:
    """It is written anew."""
    read_built_in(file, SCHEMA)
    (copy,) = copies(file)
    copy.write_bytes(content)

    assert read_built_in(file, SCHEMA).value == {"name": "Acme"}
    assert copy.read_bytes() != content


def test_nothing_is_kept_where_python_keeps_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PYTHONDONTWRITEBYTECODE` counts here too."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    assert read_built_in(file, SCHEMA).value == {"name": "Acme"}
    assert not copies(file)
