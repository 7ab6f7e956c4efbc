"""XLSB through calamine; XLS, ODS and Parquet through pandas."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO

from batcher.errors import InputError, Problem
from batcher.sheet.archive import Archive, Damaged, open_archive, unreadable
from batcher.sheet.sniff import OLE2, Kind
from batcher.sheet.source import Sheet, SheetSpec
from batcher.sheet.workbook import Grid, guarded, left_out, listed_tabs, only, pick, read_whole, sheet_of
from batcher.sheet.xlsb_binary import require_compact

_BLIND = "error values and hidden rows cannot be seen in this kind of file: save it as .xlsx to have them checked"
_PROTECTED = "EncryptedPackage".encode("utf-16-le")


def open_other(spec: SheetSpec, needs: Collection[str], kind: Kind) -> Sheet:
    """
    Open a workbook of another kind, or a Parquet table.

    Raises:
        InputError: It is damaged or protected, the tab cannot be told, its header is not sound, or there is no row.
    """
    data = read_whole(spec.path)
    no_notes: tuple[str, ...] = ()
    if kind is Kind.PARQUET:
        grid, notes = _parquet(data, spec), no_notes
    else:
        grid, notes = _workbook(data, spec, kind)
    return sheet_of(grid, spec, needs, fingerprint=hashlib.sha256(data).hexdigest(), notes=notes)


def _workbook(data: bytes, spec: SheetSpec, kind: Kind) -> tuple[Grid, tuple[str, ...]]:
    from python_calamine import CalamineWorkbook

    name = spec.path.name
    if kind is not Kind.XLS:
        _require_readable(open_archive(data, name), name)
    elif data.startswith(OLE2) and _PROTECTED in data:
        raise unreadable(name, "it is protected by a password")
    workbook = guarded(name, lambda: CalamineWorkbook.from_filelike(BytesIO(data)))
    listed = listed_tabs(workbook)
    notes: tuple[str, ...] = (_BLIND,)
    if spec.tab:
        tab = pick(spec, [title for title, _ in listed])
    else:
        filled = [(t, hidden) for t, hidden in listed if guarded(name, lambda t=t: workbook.get_sheet_by_name(t).start)]  # type: ignore[misc]
        tab = only(filled, spec)
        notes += left_out([title for title, _ in filled if title != tab])
    values = _frame(data, tab, name)
    width = max(map(len, values), default=0)
    return Grid(name=tab, width=width, height=len(values), values=lambda: iter(values)), notes


def _require_readable(archive: Archive, name: str) -> None:
    """Refuse what the reader would fail at without saying why, or not survive."""
    manifest = "META-INF/manifest.xml"
    try:
        if archive.holds(manifest) and b"encryption-data" in archive.read(manifest):
            raise Damaged("it is protected by a password")
        require_compact(archive)
    except Damaged as exc:
        raise unreadable(name, str(exc)) from exc


def _frame(data: bytes, tab: str, name: str) -> Sequence[Sequence[object]]:
    """All values of a tab, from row 1 and column A; nothing is taken for missing, no type is guessed."""
    import pandas

    frame = guarded(
        name,
        lambda: pandas.read_excel(
            BytesIO(data), sheet_name=tab, header=None, dtype=object, na_filter=False, engine="calamine"
        ),
    )
    return [tuple(plain_value(value) for value in row) for row in frame.itertuples(index=False, name=None)]


def _parquet(data: bytes, spec: SheetSpec) -> Grid:
    """A table as a grid whose row 1 holds the names of its columns."""
    import pandas

    try:
        frame = pandas.read_parquet(BytesIO(data), dtype_backend="numpy_nullable")
    except ImportError as exc:
        message = "Parquet files need one more package: pip install pyarrow, or save it as .csv"
        raise InputError(Problem(where=spec.path.name, message=message)) from exc
    except (OSError, ValueError, TypeError) as exc:
        raise unreadable(spec.path.name, str(exc)) from exc

    def values() -> Iterator[Sequence[object]]:
        yield tuple(str(column) for column in frame.columns)
        for row in frame.itertuples(index=False, name=None):
            yield tuple("" if value is pandas.NA or value is pandas.NaT else plain_value(value) for value in row)

    return Grid(name=spec.path.stem, width=len(frame.columns), height=len(frame) + 1, values=values)


def plain_value(value: object) -> object:
    """A value of pandas or NumPy as Python's own; dates without a time of day as dates."""
    convert = getattr(value, "to_pydatetime", None) or getattr(value, "to_pytimedelta", None)
    if convert is None:
        convert = getattr(value, "item", None)
    plain = convert() if convert is not None else value
    midnight = getattr(plain, "time", None)
    if callable(midnight) and str(midnight()) == "00:00:00" and hasattr(plain, "date"):
        return plain.date()
    return plain
