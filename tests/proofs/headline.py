"""The numbers of the README, each measured anew: `python -m proofs.headline [NAME …]`, or `make proof OF=NAME`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proofs.checker import nothing_forgotten
from proofs.faults import lost_after_charge
from proofs.leaks import leaks_below, seen_in
from proofs.power_cut import mounting
from proofs.proxy import spoiling
from proofs.scene import KEY, Ran, Scene, finish, kill, until
from proofs.standin import StandIn, standing_in

NOT_FINISHED = 75


class CannotMeasure(Exception):
    """Something is missing on this machine; says what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """
    What was measured.

    Attributes:
        bad: What the README says is 0.
        of: Of how many.
        what: What was counted, and under which fault.
    """

    bad: int
    of: int
    what: str


def lost_answers(stand_in: StandIn, folder: Path) -> Number:
    """A hundred rows, every fifth answer lost after the charge."""
    with spoiling(stand_in.url, lost_after_charge, share=0.2) as proxy:
        scene = Scene(folder=folder, url=proxy.url, name="lost", count=100)
        _to_the_end(scene)
        lost = sum(proxy.struck.values())
    return Number(
        bad=_paid_twice(scene, stand_in), of=100, what=f"rows paid twice; {lost} answers were lost after the charge"
    )


def overlapping_runs(stand_in: StandIn, folder: Path) -> Number:
    """Fifty rows, two runs at once."""
    stand_in.behave(answer_s=0.3)
    scene = Scene(folder=folder, url=stand_in.url, name="twins", count=50)
    both = [scene.begin(), scene.begin()]
    exits = [finish(each).exit for each in both]
    return Number(bad=_paid_twice(scene, stand_in), of=50, what=f"rows paid twice; two runs at once ended with {exits}")


def kill_nine(stand_in: StandIn, folder: Path) -> Number:
    """Fifty rows, kill -9 after the 5th, 20th and 35th charge."""
    stand_in.behave(answer_s=0.1)
    scene = Scene(folder=folder, url=stand_in.url, name="killed", count=50)
    for charges in (5, 20, 35):
        process = scene.begin()
        until(lambda charges=charges: len(stand_in.charges("killed")) >= charges, during=process)  # type: ignore[misc]
        kill(process)
        finish(process)
    evidence = scene.evidence(stand_in, _to_the_end(scene))
    made = {charge["id"] for charge in stand_in.charges("killed")}
    kept = {row["video_id"] for row in evidence.rows}
    return Number(bad=len(made - kept) + (50 - len(kept)), of=50, what="ids lost; the run was killed three times")


def power_cuts(stand_in: StandIn, folder: Path) -> Number:
    """Forty rows on a disk that forgets what was not synced, the power cut after 1, 8 and 25 charges."""
    if why := mounting.why_not():
        raise CannotMeasure(why)
    forgotten = 0
    for charges in (1, 8, 25):
        with mounting.mounted(folder / f"disk-{charges}") as disk:
            name = f"cut{charges}"
            scene = Scene(
                folder=folder / name,
                url=stand_in.url,
                name=name,
                count=40,
                state_folder=disk.folder / "state",
                limits={"submissions": "30/second"},
            )
            process = scene.begin()
            until(lambda name=name, charges=charges: len(stand_in.charges(name)) >= charges, during=process)  # type: ignore[misc]
            kill(process)
            dead = finish(process)
            disk.cut()
            forgotten += len(list(nothing_forgotten(scene.evidence(stand_in, dead))))
            _to_the_end(scene)
            forgotten += _paid_twice(scene, stand_in)
    return Number(bad=forgotten, of=120, what="rows forgotten or paid twice; the power was cut three times")


def secrets(stand_in: StandIn, folder: Path) -> Number:
    """A marked key through runs that go well, that lose answers and that reach nobody; every file and word is searched."""
    runs: list[Ran] = []
    for name, url in (("well", stand_in.url), ("nobody", "http://127.0.0.1:9")):
        scene = Scene(folder=folder / name, url=url, name=name)
        runs += [scene.run("run", "--verbose", "--for", "3s"), scene.run("check", "--verbose"), scene.run("verify")]
    with spoiling(stand_in.url, lost_after_charge, at_most=3) as proxy:
        runs.append(Scene(folder=folder / "lost", url=proxy.url, name="lost").run("run", "--verbose"))
    files = [each for each in folder.rglob("*") if each.is_file()]
    said = [each for ran in runs for each in (ran.stdout, ran.stderr)]
    found = [*leaks_below(folder, KEY), *(each for each in said if seen_in(each.encode(), KEY))]
    return Number(
        bad=len(found), of=len(files) + len(said), what="files and outputs that show the key, in any encoding"
    )


NUMBERS: Mapping[str, Callable[[StandIn, Path], Number]] = {
    "lost-answers": lost_answers,
    "overlapping-runs": overlapping_runs,
    "kill-9": kill_nine,
    "power-cuts": power_cuts,
    "secrets": secrets,
}


def measured(name: str, folder: Path) -> Number:
    """
    Measure one of them, with a simulator of its own.

    Raises:
        CannotMeasure: Not here.
    """
    with standing_in() as stand_in:
        return NUMBERS[name](stand_in, folder)


def _to_the_end(scene: Scene) -> Ran:
    """Run as cron would, until nothing is left to do."""
    for _ in range(8):
        ran = scene.run("run", "--for", "60s")
        if ran.exit != NOT_FINISHED:
            return ran
    return ran


def _paid_twice(scene: Scene, stand_in: StandIn) -> int:
    """Rows with more than one charge, in the simulator's own books; a row without one counts as well."""
    titles = [str(charge["title"]).split(" [", maxsplit=1)[0] for charge in stand_in.charges(scene.name)]
    return sum(titles.count(row) != 1 for row in scene.rows)


def _main(names: list[str]) -> int:
    bad = 0
    for name in names or list(NUMBERS):
        with tempfile.TemporaryDirectory(prefix="proof-") as folder:
            try:
                number = measured(name, Path(folder))
            except CannotMeasure as error:
                print(f"{name:<17} cannot be measured here: {error}")
                continue
        bad += number.bad
        print(f"{name:<17} {number.bad} of {number.of} {number.what}", flush=True)
    return min(1, bad)


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
