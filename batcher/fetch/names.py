"""File names out of cells: whatever a cell holds, the name stays inside its folder and is harmless on every system."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from batcher.stores import Location, way_down

MOST_BYTES = 150
"""Of one part of a path, in UTF-8: below the 255 of most systems, with room for what stands beside unfinished files."""
_MOST_OF_ROW_ID = 40

_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9]{1,10})?")
_SEPARATOR = re.compile(r"[/\\]")
_UNFIT = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
"""Names that Windows keeps for devices: in every folder, in any case, with any suffix."""
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Cn"})
"""Controls, invisible characters (those that turn the reading direction among them), surrogates, what is no character."""
_BLANK = frozenset({"Zs", "Zl", "Zp"})


class Name(Struct, frozen=True, kw_only=True):
    """
    Where a file may be written.

    Attributes:
        path: Inside the folder. Whether links that stand in the folder lead out of it is seen when it is written.
        told: What a person should know: the name had to be made harmless, or was taken. Empty when it is as wished.
        twin: The row that has the wished name; empty where this row got it.
        wished: That name, to be shown; empty where this row got it.
    """

    path: Location
    told: str = ""
    twin: str = ""
    wished: str = ""


class Names:
    """
    The names of one run's files: each is given once, however upper and lower case and accents are written.

    Ask in the order of the sheet and for every row, finished or not: then every run gives the same names.

    Args:
        folder: Which no name leaves.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._owners: dict[str, str] = {}
        self._given: dict[tuple[str, tuple[str, ...], str], Name] = {}

    def take(self, parts: Sequence[str], *, row_id: str, suffix: str) -> Name:
        """
        The name for a row's file, which no other gets; the same again when the row asks for the same again.

        Args:
            parts: As for `safe_path`.
            row_id: Stands in the name where the wished one is taken.
            suffix: As for `safe_path`.
        """
        asked = (row_id, tuple(parts), suffix)
        if asked not in self._given:
            name = safe_path(self._folder, parts, row_id=row_id, suffix=suffix)
            if (twin := self._owners.get(self._folded(name.path))) is not None:
                name = self._another(name, row_id=row_id, suffix=suffix, twin=twin)
            self._owners[self._folded(name.path)] = row_id
            self._given[asked] = name
        return self._given[asked]

    def _another(self, name: Name, *, row_id: str, suffix: str, twin: str) -> Name:
        wished = name.path.name
        stem = wished.removesuffix(suffix)
        for ending in _endings(row_id):
            path = name.path.with_name(_fit(stem, ending + suffix))
            if self._folded(path) not in self._owners:
                break
        told = f"row {_shown(twin)} has the name {_shown(wished)}: this one is called {_shown(path.name)}"
        return replace(
            name, path=path, told="; ".join(filter(None, (name.told, told))), twin=twin, wished=_shown(wished)
        )

    def _folded(self, path: Location) -> str:
        """The same text for all names that some file system takes for one (canonical caseless matching of Unicode)."""
        text = way_down(path, self._folder)
        return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def safe_path(folder: Location, parts: Sequence[str], *, row_id: str, suffix: str) -> Name:
    """
    The path that comes closest to the wished one: one step down for each part, whatever stands in it.

    Args:
        folder: Where it begins.
        parts: The rendered pieces of the job's template between its own slashes; a slash in a piece came from a cell
            and leads nowhere. The last is the file's name, with or without the suffix.
        row_id: Gives the name where nothing is left of the wished one.
        suffix: Such as `.mp4`; empty for none. Kept whole when the name is cut.

    Raises:
        ValueError: No parts, or no such suffix: a mistake in the program.
    """
    if not parts or not _SUFFIX.fullmatch(suffix):
        raise ValueError("a path has parts, and its suffix is a dot and letters")
    *above, last = parts
    if suffix and last[-len(suffix) :].lower() == suffix.lower():
        last = last[: -len(suffix)]
    steps = [harmless(part) or "_" for part in above]
    stem = harmless(last, most=MOST_BYTES - len(suffix)) or f"row-{_slug(row_id)}"
    path = folder.joinpath(*steps, stem + suffix)
    if [*steps, stem] == [_plain(part) for part in (*above, last)]:
        return Name(path=path)
    wished, given = "/".join(parts), "/".join([*steps, stem + suffix])
    return Name(path=path, told=f"{_shown(wished)} is no safe file name: it is called {_shown(given)}")


def harmless(text: str, *, most: int = MOST_BYTES) -> str:
    """
    The text as one part of a path; empty when nothing is left of it.

    In NFC, at most so many bytes of UTF-8, without separators, controls, leading dots and dashes, trailing dots and
    blanks, and no device of Windows.
    """
    steps = [step for step in _SEPARATOR.split(text) if step.strip(". ")]
    shown = "".join(filter(None, map(_fit_to_stand, "_".join(steps))))
    name = _UNFIT.sub("_", _plain(shown)).lstrip(". -").rstrip(". ")
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip()):
        name = f"_{name}"
    return _cut(name, most).rstrip(". ")


def _fit_to_stand(letter: str) -> str:
    category = unicodedata.category(letter)
    if category in _BLANK or letter in "\t\n\v\f\r\x85":
        return " "
    return "" if category in _DROPPED else letter


def _plain(text: str) -> str:
    """In NFC, with single blanks: what a person would not call a change."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _cut(text: str, most: int) -> str:
    """At most so many bytes, never through a letter or between a letter and its accents."""
    raw = text.encode("utf-8")
    if len(raw) <= most:
        return text
    kept = raw[:most].decode("utf-8", "ignore")
    while kept and unicodedata.category(text[len(kept)]).startswith("M"):
        kept = kept[:-1]
    return kept


def _fit(stem: str, ending: str) -> str:
    return _cut(stem, MOST_BYTES - len(ending.encode())).rstrip(". ") + ending


def _endings(row_id: str) -> Iterator[str]:
    slug = _slug(row_id)
    return itertools.chain([f"-{slug}"], (f"-{slug}-{number}" for number in itertools.count(2)))


def _slug(row_id: str) -> str:
    """The row id as part of a name; its hash where that could be mistaken for another's."""
    slug = harmless(row_id, most=_MOST_OF_ROW_ID)
    return slug if slug == row_id else blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _shown(text: str) -> str:
    """In quotation marks, on one line, without what could not be seen."""
    visible = "".join(_fit_to_stand(letter) or "\ufffd" for letter in text)
    return f'"{visible}"' if len(visible) <= 60 else f'"{visible[:59]}…"'
