"""Disks that are full, that fail, and that lose the ledger, while answers to paid requests are in the air."""

from __future__ import annotations

import json
import resource
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batcher.run import SENDERS
from proofs.books import read_books
from proofs.checker import assert_holds
from proofs.held import Held, holding
from proofs.power_cut import mounting
from proofs.scene import Scene
from proofs.standin import StandIn

NOT_RECORDED = 74
EDIT = 2
AT_ONCE = SENDERS
"""Answers that can be in the air together."""


@pytest.fixture
def held(stand_in: StandIn) -> Iterator[Held]:
    with holding(stand_in) as between:
        yield between


def kept(scene: Scene) -> list[Path]:
    return sorted(scene.state.glob("*-unrecorded-*.jsonl"))


def ids(path: Path) -> set[str]:
    return {json.loads(line)["remote_id"] for line in path.read_text(encoding="utf-8").splitlines()}


def no_file_grows(pid: int) -> None:
    """Every write beyond a small size fails, as on a full disk; files that are small can still be made."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


def test_ids_that_cannot_be_recorded_are_kept_and_read_back(held: Held, stand_in: StandIn, tmp_path: Path) -> None:
    """The disk is full when the answers come: own words, own code, the ids beside the ledger; then nothing twice."""
    scene = Scene(folder=tmp_path, url=held.url, name="full", count=4)

    ran = held.run(scene, charges=4, break_it=no_file_grows)

    made = {charge["id"] for charge in stand_in.charges("full")}
    (file,) = kept(scene)
    assert ran.exit == NOT_RECORDED, ran.stderr
    assert ids(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "4 answers could not be recorded" in ran.stderr
    assert all(each in ran.stderr for each in made)

    again = scene.run()

    assert again.exit == 0, again.stderr
    assert "recovered 4 ids" in again.stderr
    assert not kept(scene)
    assert_holds(scene.evidence(stand_in, again))
    assert not stand_in.report()["replays"], "what was read back is not asked for again"


def test_ids_are_said_where_even_that_file_cannot_be_written(held: Held, stand_in: StandIn, tmp_path: Path) -> None:
    """Not one byte can be written any more: stderr has them all, also with --quiet."""
    scene = Scene(folder=tmp_path, url=held.url, name="mute", count=2)

    nothing = (0, resource.RLIM_INFINITY)
    ran = held.run(
        scene, "run", "--quiet", charges=2, break_it=lambda pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, nothing)
    )

    assert ran.exit == NOT_RECORDED
    assert all(charge["id"] in ran.stderr for charge in stand_in.charges("mute"))
    again = scene.run()
    assert again.exit == 0, again.stderr
    assert_holds(scene.evidence(stand_in, again))


def test_a_ledger_that_is_gone_stops_the_run_and_its_ids_stop_the_next(
    held: Held, stand_in: StandIn, tmp_path: Path
) -> None:
    """SQLite would go on writing into a file without a name; a new, empty ledger would pay for every row again."""
    scene = Scene(folder=tmp_path / "job", url=held.url, name="gone", count=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def take_away(_: int) -> None:
        for each in scene.state.glob("loopback.db*"):
            each.rename(elsewhere / each.name)

    ran = held.run(scene, charges=2, break_it=take_away)
    refused = scene.run()

    assert ran.exit == NOT_RECORDED, ran.stderr
    assert "moved or deleted" in ran.stderr
    assert (refused.exit, len(stand_in.charges("gone"))) == (EDIT, 2)
    assert "Put the ledger back" in refused.stderr
    for each in elsewhere.iterdir():
        shutil.move(each, scene.state / each.name)
    looked = scene.run("verify", "--offline")
    assert (looked.exit, kept(scene)) == (0, []), looked.stdout
    assert "recovered 2 ids" in looked.stderr
    again = scene.run()
    assert again.exit == 0, again.stderr
    assert_holds(scene.evidence(stand_in, again))


@pytest.mark.skipif(bool(mounting.why_not()), reason=mounting.why_not() or "can be mounted")
def test_a_disk_that_fails_in_the_middle_costs_no_id(held: Held, stand_in: StandIn, tmp_path: Path) -> None:
    """EIO on everything, the file beside the ledger included: stderr has the ids, and after the repair nothing is twice."""
    with mounting.mounted(tmp_path / "disk") as disk:
        scene = Scene(folder=tmp_path / "job", url=held.url, name="eio", count=3, state_folder=disk.folder / "state")

        ran = held.run(scene, charges=3, break_it=lambda _: disk.fail())
        disk.fail()
        again = scene.run()

        assert ran.exit == NOT_RECORDED, ran.stdout + ran.stderr
        assert all(charge["id"] in ran.stderr for charge in stand_in.charges("eio"))
        assert again.exit == 0, again.stderr
        assert_holds(scene.evidence(stand_in, again))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A real file system of eight megabytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Use every byte that is left."""
    with (folder / "filler").open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def test_on_a_full_disk_the_reserve_takes_the_answers_and_the_run_stops(
    held: Held, stand_in: StandIn, tmp_path: Path
) -> None:
    """Somebody else fills the disk while answers are in the air: all are recorded, and nothing more is sent."""
    with small_disk(tmp_path / "disk") as disk:
        scene = Scene(
            folder=tmp_path / "job", url=held.url, name="room", count=2 * AT_ONCE, state_folder=disk / "state"
        )
        ran = held.run(scene, charges=AT_ONCE, break_it=lambda _: fill(disk))

        assert ran.exit == EDIT, ran.stdout + ran.stderr
        assert "must be free there" in ran.stderr
        assert not kept(scene)
        assert states_of(scene)["in progress"] + states_of(scene)["done"] == AT_ONCE

        fill(disk)
        refused = scene.run()
        assert (refused.exit, len(stand_in.charges("room"))) == (EDIT, AT_ONCE), "nothing is sent without a reserve"

        (disk / "filler").unlink()
        again = scene.run()
        assert again.exit == 0, again.stderr
        assert_holds(scene.evidence(stand_in, again))


def test_a_disk_too_small_for_the_videos_costs_no_row(stand_in: StandIn, tmp_path: Path) -> None:
    """What was paid for stays done without its files; that the disk is full is said once."""
    with small_disk(tmp_path / "disk") as disk:
        results = {"results": {"file": str(disk / "results.csv"), "download": str(disk / "videos" / "{{ id }}.mp4")}}
        scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="small", count=20, extra=results)

        made = scene.run("run", "--no-download")
        ran = scene.run()

        assert (made.exit, ran.exit, states_of(scene)) == (0, 75, {"done": 20}), ran.stdout + ran.stderr
        assert ran.stderr.count("no more files are fetched") == 1
        assert "0 files, 20 still to be fetched" in ran.stdout


def states_of(scene: Scene) -> Counter[str]:
    return Counter(entry.state for entry in read_books(scene.state, scene.name).entries)
