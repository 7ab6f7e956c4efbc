"""Deliberate faults: what is taken out of a copy of the package, and which proof must then turn red."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One text in one file of the package that is replaced by another."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sabotage:
    """
    One promise broken on purpose.

    Attributes:
        name: What is done.
        proof: The test that must fail, as pytest is told it, from the folder of the proofs on.
        shows: What its failure must say, as a pattern, so that it is red for the right reason.
        variables: Of the environment of the proof.
    """

    name: str
    changes: Sequence[Change]
    proof: str
    shows: str
    variables: Mapping[str, str] = field(default_factory=dict)


_LATE_COMMIT = (
    Change(
        file="ledger/sqlite.py",
        old="        with self._writing() as db:\n            return work(db)",
        new="        if touched and touched.account:\n"  # an admission, which alone touches an account
        '            self._db.execute("BEGIN IMMEDIATE")\n            return work(self._db)\n'
        "        with self._writing() as db:\n            return work(db)",
    ),
    Change(
        file="ledger/sqlite.py",
        old='            self._db.execute("BEGIN IMMEDIATE")\n            try:',
        new='            if not self._db.in_transaction:\n                self._db.execute("BEGIN IMMEDIATE")\n            try:',
    ),
)
_WITHOUT_KEY = (
    Change(
        file="api/client.py",
        old="            body=body,\n            headers={header: key} if header else {},",
        new="            body=body,\n            headers={},",
    ),
)
_NORMAL = (Change(file="ledger/sqlite.py", old="PRAGMA synchronous = FULL", new="PRAGMA synchronous = NORMAL"),)

SABOTAGES: Sequence[Sabotage] = (
    Sabotage(
        name="POST before intent: a run killed in between has forgotten the charge",
        changes=_LATE_COMMIT,
        proof="test_crash_sweep.py -k template-v3",
        shows="was charged, and the ledger says waiting",
    ),
    Sabotage(
        name="POST before intent: a run killed in between has forgotten a whole batch",
        changes=_LATE_COMMIT,
        proof="test_crash_sweep.py -k translations",
        shows="was charged, and the ledger says waiting",
    ),
    Sabotage(
        name="submissions without their key: a run killed before it read the answer",
        changes=_WITHOUT_KEY,
        proof="test_crash_sweep.py -k template-v3",
        shows="killed before recvfrom .* was charged 2 times",
    ),
    Sabotage(
        name="submissions without their key: lost answers",
        changes=_WITHOUT_KEY,
        proof="test_wire_faults.py -k heygen.template",
        shows="charged 2 times",
    ),
    Sabotage(
        name="submissions without their key: a whole bad day",
        changes=_WITHOUT_KEY,
        proof="test_chaos_day.py",
        shows="charged 2 times|duplicates",
        variables={"BATCHER_CHAOS": "1", "BATCHER_CHAOS_ROWS": "2000"},
    ),
    Sabotage(
        name="POST before intent: the order of system calls",
        changes=_LATE_COMMIT,
        proof="test_order.py -k heygen.template",
        shows="sent before its attempt was written and synced",
    ),
    Sabotage(
        name="synchronous NORMAL instead of FULL: the order of system calls",
        changes=_NORMAL,
        proof="test_order.py -k heygen.template",
        shows="sent before its attempt was written and synced",
    ),
    Sabotage(
        name="synchronous NORMAL instead of FULL: a power cut",
        changes=_NORMAL,
        proof="power_cut -k forgotten",
        shows="was charged, and the ledger",
        variables={"BATCHER_CHAOS": "1"},
    ),
    Sabotage(
        name="results moved into place unsynced",
        changes=(Change(file="stores/folder.py", old="            sync(file)\n", new=""),),
        proof="test_order.py -k results",
        shows="was moved before it was synced",
    ),
    Sabotage(
        name="key without the body in it",
        changes=(
            Change(file="ledger/identity.py", old="task.item, body, str(number))", new="task.item, str(number))"),
        ),
        proof="test_identity.py -k edited",
        shows="the edited text was never made",
    ),
    Sabotage(
        name="key by chance instead of by content",
        changes=(
            Change(
                file="ledger/identity.py", old="task.item, body, str(number))", new="task.item, body, str(id(task)))"
            ),
        ),
        proof="test_identity.py -k lost",
        shows="replays",
    ),
    Sabotage(
        name="a batch has the instant in its key",
        changes=(
            Change(file="ledger/admission.py", old="_key_of_batch(db, [", new="_key_of_batch(db, [str(wish.now), *["),
            Change(
                file="ledger/admission.py",
                old="each.ready.key for each in made])",
                new="each.ready.key for each in made]])",
            ),
        ),
        proof="../test_batches.py -k lost_ledger",
        shows="assert max",
    ),
    Sabotage(
        name="results are no witness against an older ledger",
        changes=(Change(file="witness.py", old="    if not lines:\n", new="    if lines or not lines:\n"),),
        proof="../test_witness.py -k worker_over",
        shows="DID NOT RAISE",
    ),
    Sabotage(
        name="lock removed",
        changes=(
            Change(
                file="ledger/lock.py",
                old="        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)\n",
                new="        pass\n",
            ),
        ),
        proof="test_overlap.py -k twenty",
        shows="no two runs ever met|did not end within|in vain|another run of",
    ),
    Sabotage(
        name="sends that are not written into the log that windows are counted over",
        changes=(
            Change(
                file="ledger/admission.py",
                old="    insert_rows(db, _SENDS, [(wish.account, wish.now, submission_id) for submission_id in submissions.values()])",
                new="",
            ),
        ),
        proof="test_overlap.py -k account",
        shows="POSTs within",
    ),
    Sabotage(
        name="resent without a look-up: lost answers",
        changes=(Change(file="doubt.py", old="    if repeat.free or (", new="    if True or repeat.free or ("),),
        proof="test_wire_faults.py -k v2",
        shows="charged 2 times",
    ),
    Sabotage(
        name="resent without a look-up: old keys",
        changes=(Change(file="doubt.py", old="    if repeat.free or (", new="    if True or repeat.free or ("),),
        proof="test_clock.py -k never_sent_again",
        shows="sent again",
    ),
    Sabotage(
        name="answers that cannot be recorded are dropped",
        changes=(Change(file="run.py", old="            self._rescue.keep(brought, dispatcher.accepted)\n", new=""),),
        proof="test_disk.py -k kept_and_read_back",
        shows="not enough values to unpack|assert 2 == 74",
    ),
    Sabotage(
        name="what was kept beside the ledger is not read back",
        changes=(
            Change(file="open_job.py", old="if count := self.unrecorded.read_back(self.ledger):", new="if count := 0:"),
        ),
        proof="test_disk.py -k kept_and_read_back",
        shows="recovered 4 ids",
    ),
    Sabotage(
        name="no room is reserved",
        changes=(Change(file="ledger/sqlite.py", old="        self._reserve.hold()\n", new=""),),
        proof="test_disk.py -k full_disk",
        shows="assert 74 == 2",
    ),
    Sabotage(
        name="a ledger that was taken away is written to all the same",
        changes=(Change(file="ledger/sqlite.py", old="if self._identity() != self._file:", new="if False:"),),
        proof="test_disk.py -k gone",
        shows="assert 0 == 74",
    ),
    Sabotage(
        name="the first of two rows with one id is not flagged",
        changes=(
            Change(
                file="ledger/recording.py", old="        db.executemany(_FLAG, holders.flags)\n", new="        pass\n"
            ),
        ),
        proof="../test_ledger_contract.py -k flags_the_first",
        shows="look whose work it is",
    ),
    Sabotage(
        name="TLS is agreed on without a deadline",
        changes=(
            Change(
                file="api/deadline.py",
                old="return _connected(super()._new_conn())",
                new="return super()._new_conn()",
            ),
        ),
        proof="../test_wire.py -k agreed_on",
        shows="only the time to connect has ended it",
    ),
    Sabotage(
        name="verify does not look at the history",
        changes=(Change(file="ledger/examining.py", old=", *_final_stays(db, job)]", new="]"),),
        proof="../test_verify.py -k pushed",
        shows="KeyError: 'I4'",
    ),
    Sabotage(
        name="the last row of a workbook is not read",
        changes=(
            Change(
                file="sheet/workbook.py",
                old="iter(sheet.iter_rows())\n",
                new="iter(list(sheet.iter_rows())[:-1])\n",
            ),
        ),
        proof="../test_sheet_xlsx.py -k carriage_returns",
        shows="assert",
    ),
    Sabotage(
        name="CSV that is not read strictly",
        changes=(
            Change(
                file="sheet/delimited.py",
                old="strict=True)\n        try:",
                new="strict=False)\n        try:",
            ),
        ),
        proof="../test_sheet_csv.py -k unclosed",
        shows="DID NOT RAISE|assert",
    ),
    Sabotage(
        name="answers of any depth are read",
        changes=(Change(file="api/wire.py", old="MAX_DEPTH = 100\n", new="MAX_DEPTH = 10_000\n"),),
        proof="../test_sorting.py -k nested",
        shows="assert",
    ),
    Sabotage(
        name="the key among the properties of a workbook",
        changes=(
            Change(
                file="sheet/write_xlsx.py",
                old='{"created": _EPOCH}',
                new='{"created": _EPOCH, "comments": __import__("os").environ["HEYGEN_API_KEY"]}',
            ),
        ),
        proof="test_canary.py -k xlsx",
        shows="app.xml|core.xml holds it",
    ),
    Sabotage(
        name="the environment written beside the results",
        changes=(
            Change(
                file="results.py",
                old="    write_rows(\n",
                new='    import os\n    results.file.with_suffix(".log").write_text(repr(dict(os.environ)))\n    write_rows(\n',
            ),
        ),
        proof="test_canary.py -k finished",
        shows="holds it",
    ),
)


def sabotaged(sabotage: Sabotage, *, package: Path, into: Path) -> Path:
    """
    Copy the package and break the copy; returns the folder from which Python imports it.

    Raises:
        LookupError: The text that was to be replaced is not there any more: the sabotage must be brought up to date.
    """
    shutil.copytree(package, into / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for change in sabotage.changes:
        file = into / package.name / change.file
        text = file.read_text(encoding="utf-8")
        if text.count(change.old) != 1:
            raise LookupError(f"{change.file} has not exactly one {change.old!r}")
        file.write_text(text.replace(change.old, change.new), encoding="utf-8")
    return into
