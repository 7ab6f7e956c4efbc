"""Workers of many machines on one job whose sheet, results and files stand in the cloud, so that they share no folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_standin import Bucket, store_environment
from proofs.scene import Scene, end_all, finish, kill, until
from proofs.standin import StandIn, standing_in

from cluster.crew import crew_for
from cluster.server import Server

pytestmark = pytest.mark.cluster


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A simulator for this test alone."""
    with standing_in() as running:
        yield running
    end_all()


@pytest.fixture
def address(postgres_server: Server, schema: str) -> str:
    """A database for this test alone."""
    return postgres_server.new_database(schema)


def test_workers_that_share_no_folder_bring_every_file_into_the_cloud_once(
    stand_in: StandIn, address: str, tmp_path: Path, bucket: Bucket
) -> None:
    """One of them is killed on the way; each file is there, each row was paid once, and no worker keeps anything."""
    places = {
        "sheet": {"file": f"{bucket}/people.csv", "row_id": "id"},
        "results": {"file": f"{bucket}/results.csv", "download": f"{bucket}/videos/{{{{ id }}}}.mp4"},
    }
    scene = Scene(
        folder=tmp_path,
        url=stand_in.url,
        name="far",
        count=24,
        extra=places,
        variables=store_environment(bucket.url),
        address=address,
    )
    bucket.put("people.csv", scene.sheet.read_bytes())
    scene.sheet.unlink()
    with crew_for(scene, count=3, **store_environment(bucket.url)) as crew:
        process = scene.begin("run", "--cluster", "--yes")
        until(lambda: bucket.marks("videos") or process.poll() is not None, timeout_s=60)
        kill(crew.hired[0])
        ran = finish(process, timeout_s=180)
        crew.dismiss()

    rows = list(csv.DictReader(io.StringIO(bucket.get("results.csv").decode("utf-8-sig"))))
    assert ran.exit == 0, ran.stdout + ran.stderr + crew.said()
    assert [row["batcher_status"] for row in rows] == ["done"] * 24
    assert [row["video_file"] for row in rows] == [f"{bucket}/videos/{row}.mp4" for row in scene.rows]
    assert set(bucket.marks("videos")) == {f"videos/{row}.mp4" for row in scene.rows}
    assert len(stand_in.report()["posts_at"]) == 24
