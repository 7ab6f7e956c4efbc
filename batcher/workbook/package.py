"""The parts of one workbook while they are being changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from lxml import etree

from batcher.sheet.archive import Archive
from batcher.workbook.container import pack
from batcher.workbook.names import TYPES, parse, serialised
from batcher.workbook.relations import Relations, relations_part

_CONTENT_TYPES = "[Content_Types].xml"


class Package:
    """
    A workbook's archive and the parts that are to differ in the new one.

    Names of parts are compared without regard to case, as spreadsheet programs do.

    Attributes:
        archive: What was read.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._replaced: dict[str, Iterable[bytes]] = {}
        self._added: dict[str, bytes] = {}

    @property
    def changed(self) -> bool:
        """True when any part differs from the archive's."""
        return bool(self._replaced or self._added)

    def holds(self, part: str) -> bool:
        """True when there is such a part."""
        return self.archive.holds(part)

    def folders(self) -> set[str]:
        """The first two levels of all names, in lower case: what kind of workbook it is."""
        return {"/".join(name.split("/")[:depth]) for name in self.archive.parts for depth in (1, 2)}

    def read(self, part: str) -> bytes:
        """The part as it stands by now; Damaged when it is missing."""
        if part in self._added:
            return self._added[part]
        held = self.archive.parts.get(part.lower())
        changed = self._replaced.get(held.filename) if held else None
        return self.archive.read(part) if changed is None else b"".join(changed)

    def book(self) -> str:
        """The part that everything else belongs to."""
        found = (part for _, part in self.relations("").parts("officeDocument") if self.holds(part))
        return next(found, "xl/workbook.xml")

    def relations(self, part: str) -> Relations:
        """What a part refers to."""
        name = relations_part(part)
        return Relations(part, self.read(name) if self.holds(name) else None)

    def put(self, part: str, content: bytes) -> None:
        """Replace a part, or add it."""
        if self.holds(part):
            self._replaced[self.archive.parts[part.lower()].filename] = [content]
        else:
            self._added[part] = content

    def put_pieces(self, part: str, pieces: Iterable[bytes]) -> None:
        """Replace a part that is too large to be joined."""
        self._replaced[self.archive.parts[part.lower()].filename] = pieces

    def put_relations(self, part: str, relations: Relations) -> None:
        """Replace a part's relationships when they have changed."""
        if relations.changed:
            self.put(relations_part(part), relations.xml())

    def free_name(self, pattern: str) -> str:
        """The first name of the pattern, which has `{}` for a number, that no part has."""
        number = 1
        while self.holds(pattern.format(number)) or pattern.format(number) in self._added:
            number += 1
        return pattern.format(number)

    def declare(self, *, extensions: dict[str, str], parts: dict[str, str]) -> None:
        """
        Say what kind of content new parts hold.

        Args:
            extensions: Ending of names, without the dot, to the type of all parts that have it.

            parts: Name of a part to its own type.
        """
        root = parse(self.read(_CONTENT_TYPES))
        known = {str(element.get("Extension", "")).lower() for element in root.iter(f"{{{TYPES}}}Default")}
        before = len(root)
        for extension, kind in extensions.items():
            if extension not in known:
                default = etree.Element(f"{{{TYPES}}}Default", {"Extension": extension, "ContentType": kind})
                root.insert(len(known), default)
                known.add(extension)
        for part, kind in parts.items():
            etree.SubElement(root, f"{{{TYPES}}}Override", {"PartName": f"/{part}", "ContentType": kind})
        if len(root) != before:
            self.put(_CONTENT_TYPES, serialised(root))

    def write(self, file: BinaryIO) -> None:
        """Write the new archive."""
        pack(file, self.archive, replaced=self._replaced, added=self._added)
