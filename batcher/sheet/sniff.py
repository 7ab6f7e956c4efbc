"""What kind of file it really is, whatever its name says."""

from __future__ import annotations

import difflib
import stat
from enum import Enum
from pathlib import Path

from batcher.errors import InputError, Problem

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD_BYTES = 8192


class Kind(Enum):
    """Which reader a file needs."""

    TEXT = "text"
    """CSV, TSV and their relatives."""
    XLSX = "xlsx"
    """A workbook as zipped XML: .xlsx and .xlsm."""
    XLSB = "xlsb"
    """A workbook in Excel's binary parts, zipped."""
    XLS = "xls"
    """A workbook of Excel 97 to 2003."""
    ODS = "ods"
    """A workbook of LibreOffice."""
    PARQUET = "parquet"
    """A table of a data warehouse."""


_BY_SUFFIX = {
    ".csv": Kind.TEXT,
    ".tsv": Kind.TEXT,
    ".tab": Kind.TEXT,
    ".txt": Kind.TEXT,
    ".xlsx": Kind.XLSX,
    ".xlsm": Kind.XLSX,
    ".xlsb": Kind.XLSB,
    ".xls": Kind.XLS,
    ".ods": Kind.ODS,
    ".parquet": Kind.PARQUET,
}

_FOREIGN = (
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (b"BZh", "is compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\x00", "is compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstandard: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"%PDF", "is a PDF document, not a sheet: export the table as .csv or .xlsx"),
    (b"\x89PNG", "is a picture, not a sheet"),
    (b"\xff\xd8\xff", "is a picture, not a sheet"),
    (b"SQLite format 3\x00", "is an SQLite database, not a sheet"),
)


def sniff(path: Path) -> Kind:
    """
    The kind of a file, agreed on by its name and its first bytes.

    Raises:
        InputError: It is missing, unreadable, empty, no plain file, of an unknown kind, or not what its name says.
    """
    _require_plain_file(path)
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_BY_SUFFIX)
        raise _refusal(path, f"files of this kind are not read; save it as .csv or .xlsx (known are {known})")
    head = read_head(path)
    complaint = _complaint(kind, head)
    if complaint:
        raise _refusal(path, complaint)
    return kind


def read_head(path: Path) -> bytes:
    """The first bytes of a file; InputError when it may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as exc:
        raise _refusal(path, f"cannot be read: {exc.strerror or exc}") from exc


def _refusal(path: Path, message: str) -> InputError:
    return InputError(Problem(where=path.name, message=message))


def _require_plain_file(path: Path) -> None:
    """Refuse what is not an ordinary file with something in it, before a read could block on it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise _refusal(path, f"no such file: {path}{_near_file(path)}") from None
    except OSError as exc:
        raise _refusal(path, f"cannot be read: {exc.strerror or exc}") from exc
    if stat.S_ISDIR(status.st_mode):
        raise _refusal(path, "is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(path, "is not an ordinary file (a pipe or a device): save the sheet as a file first")
    if path.name.startswith("~$"):
        raise _refusal(path, f"is Excel's lock file, not the sheet: name {path.name[2:]} instead")
    if status.st_size == 0:
        raise _refusal(
            path, "is empty (0 bytes): perhaps still being saved, or not yet downloaded from the cloud drive"
        )


def _near_file(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _BY_SUFFIX]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _complaint(kind: Kind, head: bytes) -> str:
    """Why the first bytes contradict the kind; empty when they do not."""
    if kind is Kind.PARQUET:
        return "" if head.startswith(b"PAR1") else "is not a Parquet file, although its name says so"
    for magic, message in _FOREIGN:
        if head.startswith(magic):
            return message
    if head.startswith(b"PAR1"):
        return "is a Parquet file: rename it to .parquet"
    if head.startswith(OLE2):
        return (
            ""
            if kind is Kind.XLS
            else "is protected by a password, or an old .xls workbook: open it in Excel and save it as .xlsx without a password"
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<table")):
        return "is a web page, not a sheet: probably a sign-in page was saved, or an export in HTML; download it again as .csv or .xlsx"
    if start.startswith((b"<?xml", b"{\\rtf")):
        return "is a document in XML or RTF, not a sheet: save it as .csv or .xlsx"
    return _zip_complaint(kind, head)


def _zip_complaint(kind: Kind, head: bytes) -> str:
    zipped = head.startswith(ZIP)
    if kind is Kind.TEXT and zipped:
        return _what_zip(head)
    if kind is Kind.XLS and zipped:
        return "is a newer workbook than its name says: rename it to .xlsx"
    if kind in (Kind.XLSX, Kind.XLSB, Kind.ODS) and not zipped:
        if b"\x00" in head:
            return "cannot read the workbook: it is damaged or something else (workbooks are zip archives)"
        return "is text, not a workbook: rename it to .csv"
    return ""


def _what_zip(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head or b"_rels/" in head:
        return "is an Excel workbook, not text: rename it to .xlsx"
    if b"opendocument" in head:
        return "is a LibreOffice workbook, not text: rename it to .ods"
    return "is a zip archive: unpack it first"
