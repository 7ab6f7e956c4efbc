"""What a part refers to: its relationships, read, added to and dropped."""

from __future__ import annotations

import posixpath

from lxml import etree

from batcher.workbook.names import OFFICE, RELATIONS, parse, serialised

_RELATIONSHIP = f"{{{RELATIONS}}}Relationship"


def relations_part(part: str) -> str:
    """The part that holds another one's relationships."""
    folder, base = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{base}.rels")


class Relations:
    """
    The relationships of one part.

    Args:
        part: Whose they are; its folder is where their targets are counted from.

        xml: The part that holds them; None when there is none yet.
    """

    def __init__(self, part: str, xml: bytes | None) -> None:
        self._folder = posixpath.dirname(part)
        self._root = (
            etree.Element(f"{{{RELATIONS}}}Relationships", nsmap={None: RELATIONS}) if xml is None else parse(xml)
        )
        self._by_id = {element.get("Id", ""): element for element in self._root.iter(_RELATIONSHIP)}
        self._next = 1
        self.changed = False

    def parts(self, kind: str) -> list[tuple[str, str]]:
        """Id and name of every part in this archive that is referred to as `kind`: the last word of its type."""
        return [
            (key, self._resolved(element.get("Target", "")))
            for key, element in self._by_id.items()
            if element.get("Type", "").rpartition("/")[2] == kind and element.get("TargetMode") != "External"
        ]

    def outside(self, key: str) -> str | None:
        """The address outside of the archive behind an id; None when it is none."""
        element = self._by_id.get(key)
        return None if element is None or element.get("TargetMode") != "External" else element.get("Target")

    def add_part(self, kind: str, part: str) -> str:
        """Refer to a part; the new id."""
        return self._add(kind, posixpath.relpath(part, self._folder), outside=False)

    def add_outside(self, kind: str, address: str) -> str:
        """Refer to an address outside; the new id."""
        return self._add(kind, address, outside=True)

    def drop(self, key: str) -> None:
        """Forget a relationship; one that is not there is no matter."""
        element = self._by_id.pop(key, None)
        if element is not None:
            self._root.remove(element)
            self.changed = True

    def xml(self) -> bytes:
        """The part as the archive holds it."""
        return serialised(self._root)

    def _add(self, kind: str, target: str, *, outside: bool) -> str:
        while f"rId{self._next}" in self._by_id:
            self._next += 1
        key = f"rId{self._next}"
        element = etree.SubElement(self._root, _RELATIONSHIP, Id=key, Type=f"{OFFICE}/{kind}", Target=target)
        if outside:
            element.set("TargetMode", "External")
        self._by_id[key] = element
        self.changed = True
        return key

    def _resolved(self, target: str) -> str:
        target = target.replace("\\", "/")
        return (
            target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(self._folder, target))
        )
