"""The XML of a tab, looked through in blocks while it is unpacked: where a block ends must make no difference."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.sheet.archive import Damaged, listed_archive
from batcher.sheet.xlsx_xml import Survey, survey

_HEAD = "<worksheet><cols><col min='2' max='2' hidden='1'/></cols>" + " " * 65_536
"""So long that everything behind it comes in later blocks."""
_CELLS = (
    '<c r="{}"><v>7</v></c>',
    '<c r="{}" s="1"><v>7</v></c>',
    '<c r="{}" t="inlineStr"><is><t>"e" f hidden</t></is></c>',
    '<c r="{}" t="e"><v>#N/A</v></c>',
    "<c r='{}' t='e'><f>1/0</f><v>#DIV/0!</v></c>",
    '<c r="{}"><f>A1</f></c>',
    '<c r="{}"/>',
    "<c><v>7</v></c>",
    '<c t="e"><v>#N/A</v></c>',
)
_ROWS = ('<row r="{}">', '<row r="{}" hidden="1">', "<row ht='9' r='{}'>", "<row>")


def sheet_xml(rows: list[tuple[str, list[str]]]) -> bytes:
    written = (
        row.format(number) + "".join(cell.format(f"{column}{number}") for column, cell in zip("ABCD", cells)) + "</row>"
        for number, (row, cells) in enumerate(rows, 1)
    )
    merged = '<mergeCells><mergeCell ref="A3:B5"/></mergeCells>'
    return f"{_HEAD}<sheetData>{''.join(written)}</sheetData>{merged}<rowBreaks/></worksheet>".encode()


def in_pieces(xml: bytes, sizes: list[int]) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        at = 0
        for size in cycle(sizes):
            if at >= len(xml):
                return
            yield xml[at : at + size]
            at += size

    return pieces


def seen(xml: bytes, *sizes: int) -> Survey:
    return survey(in_pieces(xml, list(sizes)), padded={1: 5}, data_from=2)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(_ROWS), st.lists(st.sampled_from(_CELLS), max_size=4)), min_size=1, max_size=30
    ),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_where_the_pieces_end_makes_no_difference(rows: list[tuple[str, list[str]]], sizes: list[int]) -> None:
    """A row that is unpacked in two parts has its number, its errors and its formulas as every other."""
    xml = sheet_xml(rows)

    assert seen(xml, *sizes) == seen(xml, len(xml))


def test_everything_is_found_behind_the_first_block() -> None:
    """What a block shows is counted on from the blocks before it."""
    plain, broken = (_ROWS[0], [_CELLS[0]]), (_ROWS[1], [_CELLS[1], _CELLS[3]])

    found = seen(sheet_xml([plain] * 400 + [broken] + [plain] * 400), 1000)

    assert (found.last_row, found.hidden_rows, found.hidden_columns, found.merged) == (801, (401,), (1,), ("A3:B5",))
    assert found.marks[401][0].pad == 5
    assert found.marks[401][1].text == "#N/A"


@pytest.mark.parametrize("again", [1, 250, 499])
def test_rows_out_of_order_are_refused_across_blocks(again: int) -> None:
    """Each block alone may look sound."""
    rows = [(_ROWS[0], [_CELLS[0]])] * 500
    xml = sheet_xml([*rows, (f'<row r="{again}">', [])])

    with pytest.raises(Damaged, match="out of order"):
        seen(xml, 300)


def test_a_damaged_archive_is_told_before_what_its_xml_shows() -> None:
    """Whoever copied a file badly should copy it again, not look for rows out of order."""
    xml = sheet_xml([(_ROWS[0], [_CELLS[0]])] * 500 + [('<row r="3">', [])])
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", xml)
    check = zlib.crc32(xml).to_bytes(4, "little")
    damaged = listed_archive(file.getvalue().replace(check, bytes(4)))

    with pytest.raises(Damaged, match="is damaged"):
        survey(lambda: damaged.pieces("a.xml"), padded={}, data_from=2)


def test_a_stray_cell_is_found_in_any_block() -> None:
    """The reader lays out the rectangle of all cells, wherever in the file the widest row stands."""
    plain = (_ROWS[0], [_CELLS[0]])
    stray = (_ROWS[0], ['<c r="XFD250"><v>7</v></c>'])
    last = ('<row r="9000">', ['<c r="A9000"><v>7</v></c>'])

    with pytest.raises(Damaged, match="its cells reach to XFD9000"):
        seen(sheet_xml([*[plain] * 249, stray, *[plain] * 250, last]), 300)
