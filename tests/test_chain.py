"""Steps of a row: their order, what they hand on, and that a paid step is never repeated."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import BATCHER, open_ledger, run_job

from batcher.bound import BoundJob
from batcher.chain import release
from batcher.errors import InputError
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import Admission, News, Prepared
from batcher.model import Attempt, Source, State
from batcher.planner import make_plan
from batcher.simulator import Running

SPEECH = {"operation": "heygen.speech", "request": {"text": "{{ name }}", "voice_id": "voice_anna"}}
VIDEO = {
    "operation": "heygen.video",
    "request": {"type": "avatar", "avatar_id": "look_mei", "audio_url": "{{ speech.audio_url }}", "title": "{{ id }}"},
}
TRANSLATION = {
    "operation": "heygen.translation",
    "for_each": {"language": ["German", "Polish"]},
    "request": {"video": "{{ video.video_url }}", "output_languages": ["{{ language }}"]},
}
AUDIO = "https://files.example.com/a.mp3"

Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]


def chain(bind: Bind, *rows: Mapping[str, str], **steps: Any) -> BoundJob:
    """A job of steps over some rows."""
    return bind(*rows, operation=None, request=None, steps=steps)


def plan(bound: BoundJob, ledger: SqliteLedger) -> None:
    """Bring the sheet into the ledger."""
    make_plan(bound, ledger, account="a", mark="m", at=1.0)


def admitted(ledger: SqliteLedger) -> list[Attempt]:
    """What would be sent now."""
    wish = Admission(job="greetings", account="a", now=2.0, at_most=100)
    return list(ledger.admit(wish, lambda each: Prepared(body=each.body, key="k", token="t")).attempts)


def end(ledger: SqliteLedger, attempt: Attempt, state: State, **outputs: str) -> None:
    """Bring an attempt to its end."""
    news = News(
        attempt_id=attempt.attempt_id,
        state=state,
        source=Source.ANSWER,
        cause="test",
        at=3.0,
        outputs=outputs,
        remote_id=f"id-{attempt.attempt_id}",
    )
    ledger.record([news])


def test_a_later_step_waits_for_the_earlier_one(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """Only the first step of a row is sent; the next one is made from what came back."""
    bound = chain(bind, make_row(), speech=SPEECH, video=VIDEO)
    plan(bound, ledger)
    (speech,) = admitted(ledger)
    assert release(bound, ledger, None, at=2.5) == 0
    assert admitted(ledger) == []

    end(ledger, speech, State.DONE, audio_url=AUDIO)
    assert release(bound, ledger, {"r1"}, at=4.0) == 1
    (video,) = admitted(ledger)
    assert json.loads(video.body)["audio_url"] == AUDIO


def test_steps_under_other_names_are_not_paid_again(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """The same work under another step is another task: what was made is not made anew without a word."""
    plan(chain(bind, make_row(), speech=SPEECH), ledger)
    (attempt,) = admitted(ledger)
    end(ledger, attempt, State.DONE)

    with pytest.raises(InputError, match=r"1 rows \(rows 2\) were already made, by steps that the job no longer has"):
        plan(chain(bind, make_row(), voice=SPEECH), ledger)
    with pytest.raises(InputError, match="by steps that the job no longer has"):
        plan(bind(make_row(), operation=SPEECH["operation"], request=SPEECH["request"]), ledger)
    assert not admitted(ledger)
    plan(chain(bind, make_row(), speech=SPEECH, video=VIDEO), ledger)
    assert not admitted(ledger), "a step that is added goes on from what was made"


def test_a_failed_step_leaves_the_later_ones_waiting(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """Nothing is made from nothing."""
    bound = chain(bind, make_row(), speech=SPEECH, video=VIDEO)
    plan(bound, ledger)
    end(ledger, admitted(ledger)[0], State.FAILED)

    assert release(bound, ledger, None, at=4.0) == 0
    assert {each.key.step: each.state for each in ledger.standings("greetings")} == {
        "speech": State.FAILED,
        "video": State.WAITING,
    }


def test_planning_again_keeps_what_an_earlier_step_has_made(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """A restart between release and sending changes nothing."""
    bound = chain(bind, make_row(), speech=SPEECH, video=VIDEO)
    plan(bound, ledger)
    end(ledger, admitted(ledger)[0], State.DONE, audio_url=AUDIO)
    release(bound, ledger, None, at=4.0)
    plan(bound, ledger)
    assert [json.loads(each.body)["audio_url"] for each in admitted(ledger)] == [AUDIO]


@pytest.mark.parametrize(("text", "flawed"), [("{{ speech.audio_url }}", True), ("{{ speech.audio_url? }}", False)])
def test_what_a_step_left_out_has_not_made_is_never_sent(
    text: str, flawed: bool, bind: Bind, make_row: Row, ledger: SqliteLedger
) -> None:
    """Not even a placeholder: the row is invalid, unless it can do without."""
    speech = {**SPEECH, "when": "company == 'audio'"}
    request = {"type": "avatar", "avatar_id": "look_mei", "audio_url": text, "script": "{{ name? }}"}
    request = request if not flawed else {key: value for key, value in request.items() if key != "script"}
    bound = chain(bind, make_row(), speech=speech, video={**VIDEO, "request": request})
    plan(bound, ledger)

    sent = admitted(ledger)
    assert all("later" not in each.body for each in sent)
    assert len(sent) == (0 if flawed else 1)


@pytest.mark.parametrize("text", ["{{ video.video_url }}", "{{ video.video_url or 'nothing' }}"])
def test_a_step_used_before_it_has_run_is_named(text: str, bind: Bind, make_row: Row) -> None:
    """The order of the steps is what is wrong, not a column."""
    early = {**SPEECH, "request": {"text": text, "voice_id": "voice_anna"}}
    said = r"steps\.speech\.request\.text: the step 'video' comes later; .* put 'video' first"
    with pytest.raises(InputError, match=said):
        chain(bind, make_row(), speech=early, video={**VIDEO, "request": {**VIDEO["request"], "audio_url": AUDIO}})  # type: ignore[dict-item]


def test_a_step_that_uses_itself_is_told(bind: Bind, make_row: Row) -> None:
    """It has made nothing yet."""
    own = {**SPEECH, "request": {"text": "{{ speech.audio_url }}", "voice_id": "voice_anna"}}
    with pytest.raises(InputError, match="'speech' is this very step"):
        chain(bind, make_row(), speech=own)


def test_an_output_that_does_not_exist_is_an_error_of_the_job(bind: Bind, make_row: Row) -> None:
    """With the nearest one that does."""
    request = {**VIDEO["request"], "audio_url": "{{ speech.audio_ur }}"}  # type: ignore[dict-item]
    with pytest.raises(InputError, match="speech has no output 'audio_ur'; did you mean 'audio_url'"):
        chain(bind, make_row(), speech=SPEECH, video={**VIDEO, "request": request})


@pytest.mark.parametrize("word", ["de", "german", "German; de", "GERMAN; german"])
def test_one_language_is_one_task_whatever_it_is_called(
    word: str, tmp_path: Path, simulator: Running, write_job: Callable[..., Path], make_sheet: Callable[..., Path]
) -> None:
    """Two names of one language would be paid twice."""
    make_sheet({"id": "r1", "languages": word})
    job = write_job(
        operation="heygen.translation",
        for_each={"language": {"column": "languages"}},
        request={"video": "https://files.example.com/a.mp4", "output_languages": ["{{ language }}"]},
    )
    run_job(job, simulator.url)
    assert [each.key.item for each in open_ledger(tmp_path).standings("greetings")] == ["German"]


def test_a_whole_chain_runs_through_and_a_second_run_sends_nothing(
    simulator: Running, write_job: Callable[..., Path], make_sheet: Callable[..., Path]
) -> None:
    """Speech, then the video with that voice, then two languages of it: four pieces of work, each paid once."""
    make_sheet({"id": "r1", "name": "Anna"})
    steps = {"speech": SPEECH, "video": VIDEO, "translation": TRANSLATION}
    job = write_job(operation=None, request=None, steps=steps, poll={"at_most_every": "0.05s", "budget": "1000/second"})
    assert run_job(job, simulator.url).tally.words == {"done": 1}
    made = simulator.report()["creations"]
    assert run_job(job, simulator.url).tally.words == {"done": 1}
    assert simulator.report()["creations"] == made == 4


@pytest.mark.parametrize("word", [["--changed", "--yes"], ["--rows", "2", "--yes"]])
def test_asked_for_again_a_row_is_made_from_what_it_holds_now(
    word: list[str], simulator: Running, write_job: Callable[..., Path], make_sheet: Callable[..., Path], state: Path
) -> None:
    """Not from the content that it was made from before: that would be paid a second time, and shown as the new one."""
    job = write_job(poll={"at_most_every": "0.05s", "budget": "1000/second"})
    for name in ("Anna", "Berta"):
        make_sheet({"id": "r1", "name": name})
        run_job(job, simulator.url)
    environ = {
        **os.environ,
        "BATCHER_STATE": str(job.parent / "state"),
        "HEYGEN_BASE_URL": simulator.url,
        "HEYGEN_API_KEY": "test-key",
    }
    subprocess.run([BATCHER, "retry", job, *word], env=environ, check=True, capture_output=True, timeout=60)
    run_job(job, simulator.url)

    with closing(sqlite3.connect(job.parent / "state" / "loopback.db")) as db:
        sent = [json.loads(body) for (body,) in db.execute("SELECT body FROM attempts ORDER BY number")]
    assert [body["variables"]["first_name"]["content"] for body in sent] == ["Anna", "Berta"]
