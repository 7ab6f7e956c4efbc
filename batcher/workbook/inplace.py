"""
A workbook updated in place: our columns, links, colours and notes in one tab, and nothing else changed.

Formulas with their values, charts, pivot tables, formats and macros survive because their parts are copied unread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from batcher.sheet.archive import Damaged
from batcher.sheet.package import tabs
from batcher.sheet.width import fitting
from batcher.stores import replacing
from batcher.workbook.columns import Columns, find_columns
from batcher.workbook.fill import Filler, wanted_links
from batcher.workbook.formats import Formats
from batcher.workbook.guard import archive_of, require_unprotected, unchanged_bytes
from batcher.workbook.links import set_links
from batcher.workbook.names import Broken, parse
from batcher.workbook.notes import set_notes, texts_by_cell
from batcher.workbook.package import Package
from batcher.workbook.place import Area, areas
from batcher.workbook.refusal import refused
from batcher.workbook.relations import Relations
from batcher.workbook.shared import shared_texts
from batcher.workbook.tab_xml import TabXml
from batcher.workbook.update import COLOURS, InPlaceUpdate, Written
from batcher.workbook.widths import reach, set_widths


class _Work(Struct, frozen=True, kw_only=True):
    """
    One tab while it is being updated.

    Attributes:
        part: The tab's name in the archive.

        styles: The name of the part with the formats; empty for a workbook without.

        texts: The update's rows, as cells can hold them, in order.
    """

    package: Package
    part: str
    tab: TabXml
    relations: Relations
    styles: str
    formats: Formats
    columns: Columns
    update: InPlaceUpdate
    texts: Mapping[int, Sequence[str]]
    header_row: int


def update_workbook(path: Path, *, tab: str, header_row: int, update: InPlaceUpdate, read_fingerprint: str) -> Written:
    """
    Write our columns into a workbook that belongs to the user, atomically.

    Only the tab's XML changes, and with it the styles (added to, never renumbered), the tab's notes, their boxes and
    its relationships, and the list of content types when a part is new. Every other part keeps its packed bytes. The
    same update a second time writes nothing.

    Args:
        path: An .xlsx or .xlsm.

        tab: Name of the tab, exactly.

        header_row: Number of the row with the column names, as the spreadsheet shows it.

        update: What shall stand there.

        read_fingerprint: SHA-256 of the file when the rows behind the update were read, in hexadecimal.

    Raises:
        WorkbookBusy: The workbook is open in a spreadsheet program, or has changed since it was read.
        WorkbookRefused: It cannot be updated without harm: encrypted, signed, protected, damaged, no room.
        InputError: It cannot be read or written; the file that was there is untouched.
        ValueError: The update does not fit together.
    """
    update.require_sound(header_row)
    package = Package(archive_of(unchanged_bytes(path, read_fingerprint), path.name))
    try:
        work = _opened(package, update, tab=tab, header_row=header_row)
        require_unprotected(work.tab, path.name, tab)
        written = _change(work, read_fingerprint)
        if not package.changed:
            return written
        return replace(written, changed=True, fingerprint=_swap(path, package, read_fingerprint))
    except (Broken, Damaged) as exc:
        raise refused(path.name, f"cannot be updated in place: {exc}") from exc


def _opened(package: Package, update: InPlaceUpdate, *, tab: str, header_row: int) -> _Work:
    """The tab and all that is needed to change it."""
    part = next((found.part for found in tabs(package.archive) if found.name == tab), None)
    if part is None:
        raise Broken(f"it has no tab {tab}")
    parsed, relations = TabXml(package.read(part)), package.relations(part)
    book = package.relations(package.book())
    styles = next((name for _, name in book.parts("styles") if package.holds(name)), "")
    strings = next((name for _, name in book.parts("sharedStrings") if package.holds(name)), "")
    return _Work(
        package=package,
        part=part,
        tab=parsed,
        relations=relations,
        styles=styles,
        formats=Formats(package.read(styles) if styles else None, palette=COLOURS.values()),
        columns=find_columns(
            parsed,
            header=update.header,
            header_row=header_row,
            tables=_areas(package, relations, kind="table", name="table"),
            pivots=_areas(package, relations, kind="pivotTable", name="location"),
            shared=lambda numbers: shared_texts(package.read(strings), numbers) if strings else {},
        ),
        update=update,
        texts=update.fitted_rows(),
        header_row=header_row,
    )


def _areas(package: Package, relations: Relations, *, kind: str, name: str) -> list[Area]:
    """Where the tab has tables of a kind: they stand in parts of their own."""
    return [place for _, part in relations.parts(kind) for place in areas(parse(package.read(part)), name)]


def _change(work: _Work, fingerprint: str) -> Written:
    """Change the parts of the package; what is left out is told."""
    linked, links_left_out = _set_links(work)
    filler = Filler(
        update=work.update,
        texts=work.texts,
        columns=work.columns,
        linked=linked,
        formats=work.formats,
        header_row=work.header_row,
    )
    splices = list(filler.splices(work.tab))
    notes_left_out = _set_notes(work)
    _set_widths(work)
    filled = [number for number, texts in work.texts.items() if any(texts)]
    reach(work.tab, work.columns.places, [work.header_row, *filled])
    pieces = work.tab.pieces(splices)
    if pieces is not None:
        work.package.put_pieces(work.part, pieces)
    if work.formats.changed:
        work.package.put(work.styles, work.formats.xml())
    work.package.put_relations(work.part, work.relations)
    return Written(
        changed=False,
        fingerprint=fingerprint,
        columns=work.columns.places,
        notes_left_out=notes_left_out,
        links_left_out=links_left_out,
    )


def _set_links(work: _Work) -> tuple[set[str], int]:
    """The cells with a link, and how many addresses could not become one."""
    wanted, unfit = wanted_links(work.texts, work.update, work.columns)
    ours = frozenset(work.columns.places)
    left_out = set_links(
        work.tab, work.relations, wanted, is_ours=lambda cell: cell.left in ours and cell.top in work.texts
    )
    return wanted.keys() - left_out, unfit + len(left_out)


def _set_notes(work: _Work) -> tuple[str, ...]:
    status = work.columns.places[work.update.status]
    wanted = texts_by_cell(work.update.notes, header_row=work.header_row, status=status)
    touched = {work.header_row, *work.texts, *(note.row for note in work.update.notes)}
    return set_notes(
        work.package,
        work.tab,
        work.relations,
        wanted,
        is_ours=lambda cell: cell.top in touched,
        stays=lambda cell, line: cell.left == status and cell.top in work.texts and work.update.stays(cell.top, line),
    )


def _set_widths(work: _Work) -> None:
    """Columns that the user has not seen yet get a width; all others keep what the user gave them."""
    widths = {
        work.columns.places[index]: fitting(work.update.header[index], (texts[index] for texts in work.texts.values()))
        for index in work.columns.added
    }
    set_widths(work.tab, widths)


def _swap(path: Path, package: Package, read_fingerprint: str) -> str:
    """Put the new workbook in the old one's place, if that is still what was read; the new fingerprint."""
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            package.write(file)
        with temporary.open("rb") as file:
            fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
        unchanged_bytes(path, read_fingerprint)
    return fingerprint
