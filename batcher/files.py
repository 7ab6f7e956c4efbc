"""Local files that cells and jobs name: which of them may be sent, what they are, and what they hold."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from batcher import media
from batcher.media import Kind

_ENDINGS = (
    "png|jpe?g|gif|webp|bmp|tiff?|svg|heic|avif|psd|mp4|m4v|mov|webm|avi|mkv|wmv|mpe?g|mp3|m4a|aac|wav|ogg|opus|flac|aiff?"
    "|wma|srt|vtt|pdf|txt|rtf|docx?|xlsx?|pptx?|csv|zip"
)
LOCAL = re.compile(rf"(?![A-Za-z][A-Za-z0-9+.-]+:)(?:.*[/\\]|.*\.(?:{_ENDINGS})\s*\Z)", re.IGNORECASE)
"""How the path of a file looks, beside web addresses and ids: it has a slash, or an ending that media or papers have."""

_DRIVE = re.compile(r"[A-Za-z]:/")

MISSING = -1
"""The size of a file that is not there."""


class Unusable(Exception):
    """
    A file that cannot be sent; the message is for the person.

    Args:
        digest: What it held when it was there; empty when it is still there, or never was.
    """

    def __init__(self, message: str, *, digest: str = "") -> None:
        super().__init__(message)
        self.digest = digest


class SeenFile(Struct, frozen=True, kw_only=True):
    """
    How a file was when it was looked at: while size and time stay, so does the digest.

    Attributes:
        path: Absolute.
        size: In bytes; `MISSING` when it was not there.
        mtime_ns: When it was last written.
        digest: SHA-256 of its content, in hexadecimal; of what it held before when it is no longer there; empty when it
            was not read.
    """

    path: str
    size: int
    mtime_ns: int
    digest: str = ""


class LocalFile(Struct, frozen=True, kw_only=True):
    """
    A file that may be sent.

    Attributes:
        path: Absolute, symbolic links resolved.
        digest: SHA-256 of its content, in hexadecimal.
        size: In bytes.
        kind: What it is, by its bytes.
    """

    path: Path
    digest: str
    size: int
    kind: Kind


class Files:
    """
    The files that one job may send, each looked at once.

    A sheet may come from somebody else: what a cell names must lie in the sheet's folder or in one that the job lists,
    whatever `..` and symbolic links say. What the job itself names may lie anywhere.

    Args:
        job_folder: What texts of the job are relative to.
        sheet_folder: What cells are relative to.
        also: Further folders whose files cells may name.
        most_bytes: The largest file that the API takes; None where it states none.
        seen: Files as they were looked at earlier: those that are still so are not read again.
    """

    def __init__(
        self,
        *,
        job_folder: Path,
        sheet_folder: Path,
        also: Sequence[Path] = (),
        most_bytes: int | None = None,
        seen: Iterable[SeenFile] = (),
    ) -> None:
        self._job_folder = job_folder
        self._sheet_folder = sheet_folder
        self._open_folders = [folder.resolve() for folder in (sheet_folder, *also)]
        self._most_bytes = most_bytes
        self._before = {each.path: each for each in seen}
        self._looked: dict[tuple[str, str], LocalFile | Unusable] = {}
        self._seen: dict[str, SeenFile] = {}

    @property
    def seen(self) -> Collection[SeenFile]:
        """Every file that was looked at, also those that cannot be sent."""
        return self._seen.values()

    def find(self, text: str, *, written: str, kinds: Collection[Kind]) -> LocalFile:
        """
        The file that a text names.

        Args:
            text: A path.
            written: How the text begins in the job, before its first cell; empty when a cell begins it.
            kinds: What is taken here.

        Raises:
            Unusable: It is none that may be sent, or that is taken here.
        """
        found = self._looked.get((text, written))
        if found is None:
            try:
                found = self._look(text, written)
            except Unusable as error:
                found = Unusable(str(error), digest=error.digest)
            self._looked[text, written] = found
        if isinstance(found, Unusable):
            raise Unusable(str(found), digest=found.digest)
        if found.kind not in kinds:
            raise Unusable(f"'{text}' is {found.kind.value} inside; taken here: {_one_of(kinds)}")
        return found

    def _look(self, text: str, written: str) -> LocalFile:
        path = self._allowed(text, written)
        status = self._status(path, text)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable(f"'{text}' is a folder or a device, not a file")
        if not status.st_size:
            raise Unusable(f"'{text}' is empty (0 bytes)")
        if self._most_bytes is not None and status.st_size > self._most_bytes:
            raise Unusable(
                f"'{text}' is {size_words(status.st_size)}; at most {size_words(self._most_bytes)} are taken"
            )
        try:
            kind = _kind(path, status.st_size, text)
            digest = self._digest(path, status)
            after = path.stat()
        except OSError as error:
            raise Unusable(f"'{text}' cannot be read: {error.strerror or error}") from error
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise Unusable(f"'{text}' is being written right now; it counts when it is complete")
        return LocalFile(path=path, digest=digest, size=status.st_size, kind=kind)

    def _allowed(self, text: str, written: str) -> Path:
        """Where the file is, if it may be sent; nothing is said about files that may not."""
        name = text.replace("\\", "/") if os.sep == "/" and "/" not in text else text
        is_jobs_own = written == text
        base = self._job_folder if written else self._sheet_folder
        folders = list(self._open_folders)
        try:
            text.encode()
            if written and not is_jobs_own:
                folders.append((base / written[: written.rfind("/") + 1]).resolve())
            if name.startswith(("//", "\\\\")) or (os.sep == "/" and _DRIVE.match(name)):
                raise Unusable(f"'{text}' is on another machine; put the file into the sheet's folder")
            path = (base / (Path(name).expanduser() if is_jobs_own else name)).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Unusable(f"'{text}' cannot be a path: {error}") from error
        if not is_jobs_own and not any(path.is_relative_to(folder) for folder in folders):
            raise Unusable(
                f"'{text}' lies outside the sheet's folder, and a cell may only name files inside it; "
                "move the file there, or list its folder in the job: files: [FOLDER]"
            )
        return path

    def _status(self, path: Path, text: str) -> os.stat_result:
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            before = self._before.get(str(path))
            digest = before.digest if before else ""
            self._seen[str(path)] = SeenFile(path=str(path), size=MISSING, mtime_ns=0, digest=digest)
            near = _near(path)
            hint = f"; did you mean '{near}'?" if near else "; a web address begins with https://"
            raise Unusable(f"no such file: '{text}' in {path.parent}{hint}", digest=digest) from None
        except OSError as error:
            raise Unusable(f"'{text}' cannot be read: {error.strerror or error}") from error
        self._seen[str(path)] = SeenFile(path=str(path), size=status.st_size, mtime_ns=status.st_mtime_ns)
        return status

    def _digest(self, path: Path, status: os.stat_result) -> str:
        before = self._before.get(str(path))
        same = before is not None and (before.size, before.mtime_ns) == (status.st_size, status.st_mtime_ns)
        digest = before.digest if before is not None and same and before.digest else digest_of(path)
        self._seen[str(path)] = SeenFile(
            path=str(path), size=status.st_size, mtime_ns=status.st_mtime_ns, digest=digest
        )
        return digest


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal; OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def now(seen: Iterable[SeenFile]) -> list[SeenFile]:
    """The same files as they stand now, without a look inside."""
    found = []
    for each in seen:
        try:
            status = Path(each.path).stat()
            found.append(SeenFile(path=each.path, size=status.st_size, mtime_ns=status.st_mtime_ns))
        except OSError:
            found.append(SeenFile(path=each.path, size=MISSING, mtime_ns=0))
    return found


def mark(seen: Iterable[SeenFile]) -> str:
    """Changes whenever one of the files does; empty without any."""
    digest, any_seen = hashlib.blake2b(digest_size=16), False
    for each in sorted(seen, key=lambda file: file.path):
        any_seen = True
        digest.update(f"{each.path}\x1f{each.size}\x1f{each.mtime_ns}\x1e".encode("utf-8", "surrogateescape"))
    return digest.hexdigest() if any_seen else ""


def size_words(size: int) -> str:
    """A number of bytes for people: `12.4 MB`."""
    if size < 1_000_000:
        return f"{max(1, round(size / 1000))} kB"
    return f"{size / 1_000_000:.1f} MB"


def _kind(path: Path, size: int, text: str) -> Kind:
    with path.open("rb") as file:
        kind = media.sniff(file.read(media.HEAD_BYTES))
        if kind is None:
            raise Unusable(f"'{text}' is no picture, video, sound, caption or PDF file inside, whatever its name says")
        if lack := media.unwhole(file, size):
            raise Unusable(f"'{text}' {lack}: save or copy it once more")
    return kind


def _one_of(kinds: Collection[Kind]) -> str:
    names = [kind.value for kind in Kind if kind in kinds]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _near(path: Path) -> str:
    """The name in the same folder that was probably meant; empty when there is none."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return next(iter(difflib.get_close_matches(path.name, names, n=1)), "")
