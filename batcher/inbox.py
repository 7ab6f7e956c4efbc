"""A folder as the inbox: which of its files may be taken, where their results go, and where they end up."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from batcher.errors import InputError, Problem
from batcher.job import Job
from batcher.stores import CloudPath, Location, local, replacing

DONE = "done"
"""The folder beside the inbox that takes finished files."""
PROBLEM = ".problem.txt"
LOOK_AGAIN_S = 2.0
"""Between the two looks at a file that was touched a moment ago."""
QUIET_S = 60.0
"""A file that nobody has touched for so long needs no second look."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".tmp", ".download", ".filepart")
_OURS = re.compile(r"\.(results|rehearsal)\.[^.]+\Z|\.problem\.txt\Z", re.IGNORECASE)
"""What is written beside a workbook that takes its own results must never be taken for a new file."""
_PUT_AWAY = re.compile(r" \(done \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d(?: \d+)?\)\Z")
"""What a finished file's name has got when there was one of its name already: dropped again it is the old file."""
_FINAL = frozenset({"done", "failed", "invalid", "skipped"})
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_FIRST_LINE = (
    "batcher could not use this file. Correct it and save it under the same name; it is looked at again by itself."
)


class Dropped(Struct, frozen=True, kw_only=True):
    """
    A file in the inbox.

    Attributes:
        path: The file.
        job: The job with this file as its sheet: under a name, and with results, of its own.
        reason: Why it is left alone for now; empty when it may be taken.
    """

    path: Path
    job: Job
    reason: str = ""


def glance_inside(job: Job) -> list[Dropped]:
    """
    The files of a job's inbox as they are at this moment, by name; nothing is waited for or changed.

    Raises:
        InputError: There is no such folder, or it cannot be read.
    """
    names = _names(job)
    return list(_without_twins(job, {path: _reason(path, names) for path in _files(job, names)}))


def look_inside(
    job: Job, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> list[Dropped]:
    """
    The files of a job's inbox, by name, to be worked on; reasons beside files that are gone are cleared away.

    One that was touched a moment ago is looked at twice; where nothing has come in the meantime, it is whole.

    Args:
        job: Its sheet names a pattern.
        clock: Unix seconds, by which the file system dates its files.
        sleep: Waits between the two looks.

    Raises:
        InputError: There is no such folder, or it cannot be read.
    """
    names = _names(job)
    _clear_orphans(local(job.sheet.file).parent, names)
    first = _files(job, names)
    reasons = {path: _reason(path, names) for path in first}
    fresh = [path for path, mark in first.items() if not reasons[path] and not 0 <= clock() - mark.ctime >= QUIET_S]
    if fresh:
        sleep(LOOK_AGAIN_S)
    for path in fresh:
        if _mark(path) != first[path]:
            reasons[path] = "is still being copied"
    return list(_without_twins(job, reasons))


class _Mark(Struct, frozen=True, kw_only=True):
    """What changes whenever a file is written to; `ctime` in unix seconds, which no copying program can set."""

    size: int
    mtime_ns: int
    inode: int
    ctime: float


def _mark(path: Path) -> _Mark | None:
    """None when it is no ordinary file (any more)."""
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Mark(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino, ctime=status.st_ctime)


def _names(job: Job) -> Collection[str]:
    folder = local(job.sheet.file).parent
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError as error:
        message = f"the inbox {folder} cannot be read: {error.strerror or error}"
        raise InputError(job.problem(("sheet", "file"), message)) from error


def _files(job: Job, names: Collection[str]) -> dict[Path, _Mark]:
    paths = [local(job.sheet.file).parent / name for name in sorted(names) if _is_wanted(job, name)]
    return {path: mark for path in paths if (mark := _mark(path)) is not None}


def _is_wanted(job: Job, name: str) -> bool:
    pattern = re.escape(job.sheet.file.name).replace(r"\*", ".*").replace(r"\?", ".")
    is_foreign = name.startswith((".", "~$")) or name.lower().endswith(_UNFINISHED) or _OURS.search(name)
    return not is_foreign and re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL) is not None


def _reason(path: Path, names: Collection[str]) -> str:
    """Why a file is left alone, as far as a single look can tell; empty when it tells nothing."""
    if f"~${path.name}" in names or f".~lock.{path.name}#" in names:
        return "is open in a spreadsheet program"
    if any(f"{path.name}{ending}" in names for ending in _UNFINISHED) or _is_being_written(path):
        return "is still being copied"
    mark = _mark(path)
    return "is still empty" if mark is not None and not mark.size else ""


def _is_being_written(path: Path) -> bool:
    """
    Whether a program of this machine has the file open for writing, however long it has paused.

    The kernel grants a read lease only where nobody has (fcntl(2), F_SETLEASE). Where it knows no leases (a network
    drive, somebody else's file) the two looks have to do.
    """
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is None:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(handle, lease, fcntl.F_RDLCK)
        fcntl.fcntl(handle, lease, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EBUSY)
    finally:
        os.close(handle)
    return False


def _without_twins(job: Job, reasons: Mapping[Path, str]) -> Iterator[Dropped]:
    """Each file with its job; of two that would share their state only the first may be taken."""
    seen: dict[str, Path] = {}
    for path, reason in reasons.items():
        own = job_of(job, path)
        other = seen.setdefault(own.name, path)
        if other is not path:
            reason = f"has the name of {other.name}: give one of them another name"
        yield Dropped(path=path, job=own, reason=reason)


def job_of(job: Job, path: Path) -> Job:
    """
    The job with one file of its inbox as the sheet.

    Its state goes by job and file name, upper and lower case alike: a corrected file that is dropped again goes on
    where the first was. A `*` in the paths of the results stands for the file's name, without its ending where the
    pattern of the inbox has one.
    """
    plain = _plain_name(path.name)
    star = plain if job.sheet.file.name.endswith("*") else Path(plain).stem
    results = job.results
    file = path if results.file == job.sheet.file else _starred(results.file, star)
    report = None if results.report is None else _starred(results.report, star)
    harmless = star.replace("{", "(").replace("}", ")")  # in a template these would mean a cell
    downloads = tuple(replace(each, template=each.template.replace("*", harmless)) for each in results.downloads)
    return replace(
        job,
        name=f"{job.name}/{plain.casefold()}",
        sheet=replace(job.sheet, file=path, is_dropped=True),
        results=replace(results, file=file, report=report, downloads=downloads),
    )


def _plain_name(name: str) -> str:
    """The name under which the file was first dropped, as far as can be told."""
    name = unicodedata.normalize("NFC", name)
    stem, dot, ending = name.rpartition(".")
    return f"{_PUT_AWAY.sub('', stem)}.{ending}" if dot else _PUT_AWAY.sub("", name)


def _starred(place: Location, star: str) -> Location:
    if isinstance(place, CloudPath):
        return replace(place, parts=tuple(part.replace("*", star) for part in place.parts))
    return Path(str(place).replace("*", star))


def is_finished(words: Mapping[str, int]) -> bool:
    """Whether nothing more will come of a file by itself: no row waits, is held, in work or unsure."""
    return not {word for word, count in words.items() if count} - _FINAL


def put_away(path: Path, *, fingerprint: str, at: float) -> Path | None:
    """
    Move a finished file into the folder `done` beside the inbox, over nothing.

    The move is a second name and then the loss of the first: killed in between, it is gone on with.

    Args:
        fingerprint: SHA-256 of the file that the results belong to.
        at: Unix seconds.

    Returns:
        Where it stands now; None when it is gone, or no longer the file that was worked on.

    Raises:
        InputError: It cannot be moved.
    """
    folder = path.parent.parent / DONE
    try:
        before = _mark(path)
        if before is None or _sha256(path) != fingerprint:
            return None
        folder.mkdir(exist_ok=True)
        target = next(each for each in _targets(folder, path, at) if _name_also(path, each))
        after = _mark(path)
        if after is None or (after.size, after.mtime_ns) != (before.size, before.mtime_ns):
            if after is not None:
                target.unlink(missing_ok=True)
            return None
        path.unlink()
        _sync(folder)
        _sync(path.parent)
    except OSError as error:
        message = f"is finished, but cannot be moved to {folder}: {error.strerror or error}"
        raise InputError(Problem(where=path.name, message=message)) from error
    return target


def _targets(folder: Path, path: Path, at: float) -> Iterator[Path]:
    name = _plain_name(path.name)
    stem, ending = Path(name).stem, Path(name).suffix
    yield folder / name
    moment = f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H.%M.%S}"
    yield folder / f"{stem} (done {moment}){ending}"
    for number in range(2, 1000):
        yield folder / f"{stem} (done {moment} {number}){ending}"
    raise FileExistsError(errno.EEXIST, "there are too many files of its name", str(path))


def _name_also(path: Path, target: Path) -> bool:
    """Make the target the same file as the path; False when another one stands there."""
    try:
        os.link(path, target, follow_symlinks=False)
    except FileExistsError:
        return os.path.samestat(path.lstat(), target.lstat())
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy(path, target)
    return True


def _copy(path: Path, target: Path) -> bool:
    """The same where the folder is on another disk, or the disk has no links; an equal file there is this one."""
    if os.path.lexists(target):
        return _mark(target) is not None and _sha256(target) == _sha256(path)
    part = target.with_name(f".{target.name}.part")
    shutil.copy2(path, part)
    _sync(part)
    part.rename(target)
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def note_problems(path: Path, problems: Sequence[Problem]) -> None:
    """
    Leave the reasons why a file cannot be used beside it, for whoever has dropped it.

    Raises:
        InputError: They cannot be written.
    """
    note = _note(path)
    text = "\n".join([_FIRST_LINE, "", *map(str, problems), ""])
    with contextlib.suppress(OSError, UnicodeError):
        if note.read_text(encoding="utf-8") == text:
            return
    with replacing(note, like=path) as temporary:  # who may read the file may read what is wrong with it
        temporary.write_text(text, encoding="utf-8")


def forget_problems(path: Path) -> None:
    """Take away what an earlier run has left beside a file that can be used now."""
    note = _note(path)
    with contextlib.suppress(OSError, UnicodeError):
        with note.open(encoding="utf-8") as file:
            is_ours = file.readline().rstrip("\n") == _FIRST_LINE
        if is_ours:
            note.unlink()


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}{PROBLEM}")


def _clear_orphans(folder: Path, names: Collection[str]) -> None:
    """Reasons without their file: it was taken away, or dropped again under another name."""
    for name in names:
        if name.endswith(PROBLEM) and (of := name.removesuffix(PROBLEM)) not in names:
            forget_problems(folder / of)
