"""Where a ledger lies: what is known to lose or mix up writes is told before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import batcher, environment, names, write_job

from batcher.errors import Exit
from batcher.ledger.disk import risk_of
from batcher.simulator import Behaviour, start

MOUNTED = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /home rw shared:2 - nfs4 server:/home rw,vers=4.2
23 22 8:2 / /home/ann/local\040disk rw - xfs /dev/sdb1 rw
24 21 0:21 / /mnt/share rw - ext4 /dev/sdc1 rw
25 24 0:22 / /mnt/share rw,nosuid - cifs //server/share rw
26 21 0:23 / /mnt/shared rw - ext4 /dev/sdd1 rw
"""


@pytest.mark.parametrize(
    ("folder", "risk"),
    [
        ("/var/lib/batcher", ""),
        ("/home/ann/state", "the ledger lies on a network disk (nfs4)"),
        ("/home/ann/local disk/state", ""),
        ("/mnt/share/not/there/yet", "the ledger lies on a network disk (cifs)"),
        ("/mnt/shared/state", ""),
        ("/var/OneDrive - ACME GmbH/state", "the ledger lies in OneDrive - ACME GmbH, a folder that is copied"),
        ("/var/dropbox/state", "the ledger lies in dropbox, a folder that is copied"),
    ],
)
def test_a_risky_place_is_known_by_its_mount_or_its_name(tmp_path: Path, folder: str, risk: str) -> None:
    """The deepest mount counts, and of two at one place the later; a disk of one's own below a network disk is well."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTED)
    found = risk_of(Path(folder), mounts=mounts)
    assert found.startswith(risk)
    assert bool(found) == bool(risk)


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    """Other systems tell nothing about their mounts."""
    assert risk_of(Path("/home/ann/state"), mounts=tmp_path / "none") == ""


def test_a_run_over_a_risky_place_tells_it_and_goes_on(tmp_path: Path) -> None:
    """Once, on stderr, with what to do; `doctor` tells it as well (L9)."""
    job = write_job(tmp_path, names(1))
    simulator = start(Behaviour(render_s=0.05))
    env = environment(tmp_path, simulator.url, BATCHER_STATE=str(tmp_path / "Dropbox" / "state"))
    ran = batcher("run", job, env=env, cwd=tmp_path)
    seen = batcher("doctor", env=env, cwd=tmp_path)
    simulator.stop()

    said = "the ledger lies in Dropbox, a folder that is copied to other machines while it is written"
    assert (ran.returncode, ran.stderr.count(said)) == (Exit.DONE, 1), ran.stderr
    assert "BATCHER_STATE" in ran.stderr
    assert said in seen.stdout
