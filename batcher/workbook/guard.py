"""May this workbook be changed now, and may it be changed at all?"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from batcher.errors import InputError
from batcher.sheet.archive import Archive, open_archive
from batcher.sheet.sniff import OLE2
from batcher.sheet.workbook import read_whole
from batcher.workbook.names import is_true
from batcher.workbook.package import Package
from batcher.workbook.refusal import busy, refused
from batcher.workbook.tab_xml import TabXml

_KINDS = (".xlsx", ".xlsm")
_NEVER = {
    "_xmlsignatures": "it is signed, and any change would break the signature: remove the signature, or save a copy without",
    "xl/revisions": "it keeps a history of changes (an old shared workbook), which ours would be missing from: stop sharing it",
}


def unchanged_bytes(path: Path, fingerprint: str) -> bytes:
    """
    The bytes of a workbook that nobody has open and that still is what was read.

    Raises:
        WorkbookBusy: It is open, or not the same any more.
        WorkbookRefused: It is no .xlsx or .xlsm.
        InputError: It cannot be read.
    """
    if path.suffix.lower() not in _KINDS:
        raise refused(path.name, f"cannot be updated in place: only {' and '.join(_KINDS)} can; save it as .xlsx")
    require_closed(path)
    data = read_whole(path)
    if hashlib.sha256(data).hexdigest() != fingerprint:
        raise busy(path.name, "has changed since it was read: run again, so that the new rows count")
    return data


def require_closed(path: Path) -> None:
    """WorkbookBusy when a lock file of Excel or LibreOffice lies beside the workbook."""
    for place in dict.fromkeys((path, Path(os.path.realpath(path)))):
        for lock, program in ((f"~${place.name}", "Excel"), (f".~lock.{place.name}#", "LibreOffice")):
            if os.path.lexists(place.with_name(lock)):
                advice = f"close it, or delete {lock} when it is open nowhere"
                raise busy(path.name, f"is open in {program}: {advice}; then run again")


def archive_of(data: bytes, name: str) -> Archive:
    """The parts of a workbook; WorkbookRefused when it is encrypted, damaged, signed or keeps a history."""
    if data.startswith(OLE2):
        raise refused(name, "is protected by a password, or an old .xls workbook: save it as .xlsx without a password")
    try:
        archive = open_archive(data, name)
    except InputError as exc:
        raise refused(name, exc.problems[0].message) from exc
    folders = Package(archive).folders()
    for folder, reason in _NEVER.items():
        if folder in folders:
            raise refused(name, f"cannot be updated in place: {reason}")
    return archive


def require_unprotected(tab: TabXml, name: str, tab_name: str) -> None:
    """WorkbookRefused when the tab is protected against changes."""
    protection = tab.child("sheetProtection")
    if protection is not None and is_true(protection.get("sheet")):
        message = (
            f"the tab {tab_name} is protected: unprotect it (Review, Unprotect Sheet), so that results can stand in it"
        )
        raise refused(name, message)
