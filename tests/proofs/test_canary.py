"""A marked key goes through everything that batcher writes and says; afterwards it is found in nothing of it."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import quopri
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from proofs.faults import html_page, lost_after_charge
from proofs.leaks import forms, leaks_below, seen_in
from proofs.proxy import spoiling
from proofs.scene import KEY, MARK, Ran, Scene, finish, until
from proofs.standin import StandIn

Way = Callable[[Scene, StandIn], list[Ran]]


def checked(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """Every command that only looks."""
    looks = [("check", "--verbose"), ("check", "--offline", "--json"), ("status", "--json"), ("results",)]
    return [scene.run(*look) for look in looks]


def finished(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """A run that goes well, told at length and told to machines."""
    runs = [scene.run("run", "--verbose"), scene.run("run", "--json"), scene.run("reconcile", "--quiet")]
    assert [ran.exit for ran in runs] == [0, 0, 0], "these were to go well"
    return runs


def refused(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """The key is not accepted, then the money is gone."""
    stand_in.behave(balance=0.0)
    return [scene.run("run", "--verbose"), scene.run("run")]


def unreachable(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """Nobody listens: messages of the network library are quoted."""
    nobody = Scene(folder=scene.folder, url="http://127.0.0.1:9", name=scene.name)
    return [nobody.run("run", "--for", "1s", "--verbose")]


def lied_to(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """Answers that cannot be read are quoted in messages."""
    with spoiling(stand_in.url, html_page) as proxy:
        spoilt = Scene(folder=scene.folder, url=proxy.url, name=scene.name)
        return [spoilt.run("run", "--for", "2s", "--verbose")]


def lost(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """Answers are lost, and a person decides."""
    with spoiling(stand_in.url, lost_after_charge) as proxy:
        spoilt = Scene(folder=scene.folder, url=proxy.url, name=scene.name)
        return [spoilt.run("run", "--for", "2s"), spoilt.run("settle", "--as", "drop"), spoilt.run("retry", "--failed")]


def broken(scene: Scene, stand_in: StandIn) -> list[Ran]:
    """A fault in batcher itself: the traceback is kept in a file, with whatever stands in it."""
    ran = scene.run()
    with closing(sqlite3.connect(scene.state / "loopback.db")) as db, db:
        db.execute("UPDATE attempts SET outputs = 'no JSON'")
    buggy = scene.run("results")
    assert buggy.exit == 1, "this was to provoke a fault report"
    return [ran, buggy]


@pytest.mark.parametrize("way", [checked, finished, refused, unreachable, lied_to, lost, broken])
def test_the_key_is_in_nothing_that_is_written_or_said(way: Way, stand_in: StandIn, tmp_path: Path) -> None:
    """Plain, escaped or encoded: not in results, ledger, logs, fault reports, stdout or stderr."""
    scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="canary")

    runs = way(scene, stand_in)

    assert not list(leaks_below(tmp_path, KEY))
    for ran in runs:
        assert not seen_in((ran.stdout + ran.stderr).encode(), KEY)


def test_the_key_from_a_file_stays_in_that_file(stand_in: StandIn, tmp_path: Path) -> None:
    """A `.env` file beside the job is where it may stand, and the only place."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="env", variables={"HEYGEN_API_KEY": ""})
    settings = tmp_path / ".env"
    settings.write_text(f"HEYGEN_API_KEY='{KEY}'\n", encoding="utf-8")

    ran = scene.run("run", "--verbose")

    assert ran.exit == 0, ran.stderr
    assert not list(leaks_below(tmp_path, KEY, except_for=frozenset({settings})))
    assert not seen_in((ran.stdout + ran.stderr).encode(), KEY)


def test_an_xlsx_holds_no_key_either(stand_in: StandIn, tmp_path: Path) -> None:
    """The parts of a workbook are packed: they are unpacked before they are searched."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="xlsx", extra={"results": {"file": "results.xlsx"}})

    assert scene.run().exit == 0

    assert list(leaks_below(tmp_path, scene.rows[0])), "the search finds nothing in a workbook"
    assert not list(leaks_below(tmp_path, KEY))


def test_no_process_shows_the_key_in_its_command_line(stand_in: StandIn, tmp_path: Path) -> None:
    """What `ps` shows to everybody on the machine, for the run and whatever it starts."""
    stand_in.behave(answer_s=1.0)
    scene = Scene(folder=tmp_path, url=stand_in.url, name="ps")

    process = scene.begin()
    until(lambda: len(stand_in.charges("ps")) > 0, during=process)
    lines = list(_command_lines(process.pid))
    stand_in.behave(answer_s=0.0)
    finish(process)

    assert lines
    assert not [line for line in lines if seen_in(line, KEY)]


def test_the_search_finds_what_is_there(stand_in: StandIn, tmp_path: Path) -> None:
    """A marked cell is found in results and ledger: where it were not, the search for the key would find nothing either."""
    scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="marked")
    scene.run()

    leaks = "\n".join(leaks_below(tmp_path, MARK))

    assert "results.csv" in leaks
    assert "its dump" in leaks


def test_no_form_hides_the_key() -> None:
    """Escaped, encoded, in lines of base64, in UTF-16: each is found in the middle of a text, and named."""
    for form, name in forms(KEY).items():
        assert seen_in(b"before " + form + b" after", KEY) == name
        assert seen_in(form.decode().encode("utf-16"), KEY) == name
    assert seen_in(quopri.encodestring(b"x" * 70 + KEY.encode()), KEY) == "as mails have it"
    assert seen_in(base64.encodebytes(b"x" * 50 + KEY.encode() + b"x" * 50), KEY) == "base64"
    assert not seen_in(KEY[:-1].encode(), KEY)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "zip": lambda raw: zipped({"xl/sharedStrings.xml": raw}),
    "zip in zip": lambda raw: zipped({"a.xlsx": zipped({"b": raw})}),
    "gzip in zip": lambda raw: zipped({"log.gz": gzip.compress(raw)}),
    "zip behind a preamble": lambda raw: b"MZ" + bytes(100) + zipped({"a": raw}),
    "tar.gz": lambda raw: gzip.compress(tarred(raw)),
    "the second member of a damaged zip": lambda raw: damaged(raw),
}


@pytest.mark.parametrize("packed", PACKED)
def test_no_packing_hides_the_key(packed: str, tmp_path: Path) -> None:
    """Whatever an artefact is packed in, and however the key is written in it."""
    for number, form in enumerate((KEY.encode(), KEY.encode("utf-16"), base64.b64encode(KEY.encode()))):
        content = b"A" * 3000 + form + b"B" * 3000
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "holds-the-key.txt").write_bytes(PACKED[packed](content))

    leaks = "\n".join(leaks_below(tmp_path, KEY))

    assert [number for number in range(3) if f"/{number}/holds-the-key" in leaks] == [0, 1, 2]


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    """A tar archive of one file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.log")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def damaged(content: bytes) -> bytes:
    """A zip archive whose first member cannot be unpacked."""
    whole = bytearray(zipped({"first": b"x" * 3000, "second": content}))
    whole[40:45] = bytes(5)
    return bytes(whole)


def _command_lines(group: int) -> Iterator[bytes]:
    """The command lines of all processes of a process group."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getpgid(int(folder.name)) == group:
                    yield (folder / "cmdline").read_bytes()
            except (OSError, ProcessLookupError):
                continue
