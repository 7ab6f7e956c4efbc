"""The life of a task: the table of moves as a whole product, and a machine that tries to break the ledger."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from support import ACCOUNT, JOB, admit, news, plan, planned, task_key

from batcher.ledger.moving import may_move, move_task
from batcher.ledger.sqlite import SqliteLedger
from batcher.model import MOVES, WORST_FIRST, Source, State
from batcher.units import Rate

ALLOWED = {
    ("invalid", "waiting"), ("waiting", "invalid"), ("waiting", "sending"),
    ("sending", "waiting"), ("sending", "in progress"), ("sending", "unsure"), ("sending", "done"), ("sending", "failed"),
    ("in progress", "done"), ("in progress", "failed"),
    ("unsure", "waiting"), ("unsure", "in progress"), ("unsure", "done"), ("unsure", "failed"),
    ("done", "waiting"), ("failed", "waiting"),
}  # fmt: skip
"""Written down a second time, from the drawing in the design: the code's table must be this one."""

OPEN = (State.SENDING, State.IN_PROGRESS, State.UNSURE)
PAIRS = list(product(State, State))


def _one_task(folder: Path) -> sqlite3.Connection:
    """A ledger that holds one task, number 1, opened behind its back."""
    ledger = SqliteLedger(folder / "ledger.db")
    plan(ledger, planned())
    ledger.close()
    return sqlite3.connect(folder / "ledger.db", isolation_level=None)


def _name(value: object) -> str:
    return value.value if isinstance(value, State) else str(value)


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=_name)
def test_the_table_is_the_drawing(before: State, after: State) -> None:
    """Every pair of states either is in the drawing or cannot happen."""
    assert may_move(before, after) is ((before.value, after.value) in ALLOWED)


def test_every_state_has_a_place_in_both_tables() -> None:
    """A new state cannot be forgotten in the moves or in the ranking."""
    assert set(MOVES) == set(State) == set(WORST_FIRST)
    assert len(WORST_FIRST) == len(State)


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=_name)
def test_a_task_moves_as_the_table_says_and_every_move_is_recorded(tmp_path: Path, before: State, after: State) -> None:
    """What may not be raises and leaves no trace; what may be leaves one line with time, cause and source."""
    db = _one_task(tmp_path)
    db.execute("UPDATE tasks SET state = ?", (before.value,))
    move: dict[str, Any] = {"before": before, "after": after, "attempt_id": None, "at": 5.0, "cause": "why"}
    if may_move(before, after):
        move_task(db, 1, source=Source.PERSON, **move)
    else:
        with pytest.raises(ValueError, match="cannot move"):
            move_task(db, 1, source=Source.PERSON, **move)

    moved = may_move(before, after)
    assert db.execute("SELECT state FROM tasks").fetchall() == [((after if moved else before).value,)]
    noted = [(1, 5.0, before.value, after.value, "person", "why")] if moved else []
    assert db.execute("SELECT task_id, at, from_state, to_state, source, cause FROM moves").fetchall() == noted
    db.close()


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[0] in OPEN], ids=_name)
def test_news_moves_an_attempt_as_the_table_says(tmp_path: Path, before: State, after: State) -> None:
    """The same over the door through which answers, polls and persons come."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    plan(ledger, planned())
    (attempt,) = admit(ledger).attempts
    ids = {State.IN_PROGRESS: "v1"}
    ledger.record([news(attempt, before, remote_id=ids.get(before, ""))])
    told = news(attempt, after, remote_id=ids.get(after, ""))
    if before is after or may_move(before, after):
        ledger.record([told])
        expected = after
    elif after in (State.SENDING, State.UNSURE, State.WAITING):
        ledger.record([told])  # a process that has not heard what another has settled
        expected = before
    else:
        with pytest.raises(ValueError, match="cannot move"):
            ledger.record([told])
        expected = before

    assert ledger.standings(JOB)[0].state is expected
    ledger.close()


def test_the_database_refuses_a_state_that_does_not_exist(tmp_path: Path) -> None:
    """What the database can hold is a constraint there."""
    db = _one_task(tmp_path)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute("UPDATE tasks SET state = 'lost'")
    others = ", ".join(name for _, name, *_ in db.execute("PRAGMA table_info(tasks)") if name != "task_id")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        db.execute(f"INSERT INTO tasks ({others}) SELECT {others} FROM tasks")
    db.close()


ROW_IDS = [f"r{number}" for number in range(1, 7)]
BUDGET, SLOTS = 6.0, 3
WINDOW = Rate(count=4, window_s=10.0)


class LedgerMachine(RuleBasedStateMachine):
    """Plans, sends, answers, polls, kills and persons in any order, on a clock that only goes forward."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = SqliteLedger(self.folder / "ledger.db")
        self.watch = sqlite3.connect(self.folder / "ledger.db", isolation_level=None)
        self.now = 0.0
        self.final: dict[int, str] = {}
        self.sent_at: list[float] = []

    def teardown(self) -> None:
        self.watch.close()
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(
        shown=st.sets(st.sampled_from(ROW_IDS), min_size=1),
        wrong=st.sets(st.sampled_from(ROW_IDS)),
        text=st.integers(0, 2),
    )
    def plans(self, shown: set[str], wrong: set[str], text: int) -> None:
        """The sheet comes in as it is now."""
        tasks = []
        for row_id in sorted(shown):
            flaws = (("A1", "no"),) if row_id in wrong else ()
            tasks.append(planned(row_id, flaws=flaws, body=f'{{"t":{text}}}', input_hash=str(text), estimate=1.0))
        plan(self.ledger, *tasks, at=self.now)

    @rule(target=attempts, at_most=st.integers(1, 5), resend=st.booleans())
    def sends(self, at_most: int, resend: bool) -> Any:
        """As much as the account admits, and no more."""
        doubtful = [each.attempt_id for each in self.ledger.in_doubt(JOB, ACCOUNT)] if resend else []
        limits = {"in_flight": SLOTS, "budget": BUDGET, "windows": [WINDOW], "resend": doubtful}
        admitted = admit(self.ledger, self.now, at_most=at_most, **limits).attempts
        self.sent_at += [self.now] * len(admitted)
        assert len(admitted) <= at_most
        assert sum(self.now - WINDOW.window_s < at <= self.now for at in self.sent_at) <= WINDOW.count
        return multiple(*(each.attempt_id for each in admitted))

    @rule(attempt=attempts, state=st.sampled_from(list(State)), outputs=st.booleans(), twice=st.booleans())
    def learns(self, attempt: int, state: State, outputs: bool, twice: bool) -> None:
        """An answer, a poll or a person's word; what the table forbids raises and changes nothing."""
        shown = {"video_url": "v"} if outputs else {}
        word = news(attempt, state, self.now, outputs=shown, checked=True)
        before = self._dump()
        try:
            self.ledger.record([word] * (2 if twice else 1))
        except ValueError:
            assert self._dump() == before

    @rule(attempt=consumes(attempts))
    def accepts(self, attempt: int) -> None:
        """The API took it, if it was still being sent."""
        if self._state(attempt) == "sending":
            self.ledger.record([news(attempt, State.IN_PROGRESS, self.now, remote_id=f"v{attempt}")])

    @rule(row_id=st.sampled_from(ROW_IDS))
    def again(self, row_id: str) -> None:
        """A person wants it once more."""
        moved = self.ledger.again([task_key(row_id)], cause="again", at=self.now)
        assert moved in (0, 1)

    @rule(seconds=st.floats(0, 30))
    def waits(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule()
    def is_killed(self) -> None:
        """The process dies; another one opens the ledger."""
        self.ledger.close()
        self.ledger = SqliteLedger(self.folder / "ledger.db")

    @invariant()
    def at_most_one_attempt_is_open(self) -> None:
        """Two open attempts of one task would be two payments."""
        query = "SELECT task_id FROM attempts WHERE state IN ('sending','in progress','unsure') GROUP BY 1 HAVING COUNT(*) > 1"
        assert self._rows(query) == []

    @invariant()
    def task_and_newest_attempt_agree(self) -> None:
        """A task is where its newest attempt is, unless it waits for the next one."""
        query = """SELECT t.state, a.state FROM tasks t JOIN attempts a USING (task_id)
        WHERE a.number = (SELECT MAX(number) FROM attempts b WHERE b.task_id = t.task_id) AND t.state <> a.state"""
        assert {state for state, _ in self._rows(query)} <= {"waiting", "invalid"}

    @invariant()
    def the_history_leads_to_the_present(self) -> None:
        """Moves follow each other without a gap, each is in the table, and the last one leads to where the task is."""
        for task_id, state in self._rows("SELECT task_id, state FROM tasks"):
            query = "SELECT from_state, to_state FROM moves WHERE task_id = ? ORDER BY rowid"
            moves = [move for move in self.watch.execute(query, (task_id,)) if move[0] != move[1]]
            assert all((before, after) in ALLOWED for before, after in moves)
            assert all(one[1] == other[0] for one, other in pairwise(moves))
            assert not moves or moves[-1][1] == state

    @invariant()
    def finished_attempts_stay_finished(self) -> None:
        """Done never becomes failed, and nothing leads back."""
        for attempt_id, state in self._rows("SELECT attempt_id, state FROM attempts"):
            assert self.final.get(attempt_id, state) == state
            if state in ("done", "failed"):
                self.final[attempt_id] = state

    @invariant()
    def slots_and_budget_hold(self) -> None:
        """Nobody young is in work beyond the cap; what may be charged is within the budget."""
        query = """SELECT COUNT(*) FROM attempts JOIN submissions USING (submission_id)
        WHERE attempts.state IN ('sending', 'in progress', 'unsure') AND first_sent_at > ?"""
        assert self.watch.execute(query, (self.now - 86400,)).fetchone()[0] <= SLOTS
        cost = self._rows("SELECT SUM(estimate) FROM attempts WHERE state <> 'failed' OR error_code = 'given_up'")
        assert (cost[0][0] or 0) <= BUDGET

    @invariant()
    def counts_add_up(self) -> None:
        """Every row that is in the sheet has exactly one word."""
        assert sum(self.ledger.counts(JOB).values()) == len(self.ledger.row_ids(JOB))
        assert len(self.ledger.standings(JOB)) == len(self.ledger.row_ids(JOB))

    @invariant()
    def every_open_attempt_is_found_again(self) -> None:
        """Nothing in flight is ever forgotten."""
        told = (
            len(self.ledger.in_doubt(JOB, ACCOUNT))
            + len(self.ledger.in_flight(JOB, ACCOUNT))
            + len(self.ledger.unsure(JOB))
        )
        assert told == self._rows("SELECT COUNT(*) FROM attempts WHERE state NOT IN ('done', 'failed')")[0][0]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.watch.execute(query).fetchall()

    def _state(self, attempt: int) -> str:
        found = self.watch.execute("SELECT state FROM attempts WHERE attempt_id = ?", (attempt,)).fetchone()
        return found[0] if found else ""

    def _dump(self) -> list[str]:
        return list(self.watch.iterdump())


LedgerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLedgerMachine = LedgerMachine.TestCase
