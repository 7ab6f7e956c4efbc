"""What every test stands on: loopback only, state under tmp_path, real files, and small makers of sheets and jobs."""

from __future__ import annotations

import compileall
import csv
import ipaddress
import json
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import proofs.scene
import pytest
from cloud_standin import S3, SECRET, Bucket, s3, store_environment
from cluster.server import Server, started
from hypothesis import settings
from proofs.leaks import leaks_of

import batcher.version
from batcher.bound import BoundJob
from batcher.finding import find_operations, open_job_sheet
from batcher.job import Job, load_job
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import Admission, News, Prepared
from batcher.mapping.choice import Choices
from batcher.model import Source, State
from batcher.simulator import Behaviour, Running, start

settings.register_profile("steady", deadline=None)  # a slow machine is no failure
settings.load_profile("steady")

ROW = {"id": "r1", "name": "Anna", "company": "Becker", "logo": "https://files.example.com/logo.png"}
JOB: Mapping[str, Any] = {
    "job": "greetings",
    "operation": "heygen.template",
    "sheet": {"file": "people.csv", "row_id": "id"},
    "request": {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}},
    "results": {"file": "results.csv"},
    "poll": {"at_most_every": "0.05s", "budget": "1000/second"},
}
TEST_KEY = "test-key"
KEPT_IN = re.compile(r"\.env|holds-the-key\.txt|.*\.trace")
"""Names of files in which a test puts its key on purpose; a trace shows every byte that goes to the API."""

_OURS = (
    "HEYGEN_",
    "BATCHER_",
    "AWS_",
    "AZURE_",
    "FSSPEC_",
    "GOOGLE_",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)
_KEPT = ("BATCHER_CORPORA", "BATCHER_CORPORA_EXTRA")


class NetworkForbiddenError(BaseException):
    """A test tried to leave this machine; nothing may catch this and call it a network fault."""


def _is_loopback(host: object) -> bool:
    if not isinstance(host, str) or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return False


def _guarded(call: Callable[..., Any]) -> Callable[..., Any]:
    def guard(self: socket.socket, *args: Any) -> Any:
        address = next((arg for arg in args if isinstance(arg, tuple)), ("",))
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise NetworkForbiddenError(f"a test wants to reach {address[0]}")
        return call(self, *args)

    return guard


def _resolving(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def guard(host: Any, *args: Any, **rest: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith(".invalid"):  # RFC 6761: such a name never resolves
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not _is_loopback(name):
            raise NetworkForbiddenError(f"a test wants to look up {name}")
        return resolve(host, *args, **rest)

    return guard


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """No test of this process reaches another machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _resolving(socket.getaddrinfo))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_artefact_of_any_test_holds_a_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """When all tests are over, the keys that they used stand in nothing that was written, but where they were put on purpose."""
    yield
    found = [
        leak
        for path in sorted(tmp_path_factory.getbasetemp().rglob("*"))
        if path.is_file() and not KEPT_IN.fullmatch(path.name) and path.stat().st_size < 50_000_000
        for leak in leaks_of(path, TEST_KEY, proofs.scene.KEY, SECRET)
    ]
    assert not found, "\n".join(found)


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Runs that may be killed write no bytecode: without it each of these processes would compile batcher anew."""
    compileall.compile_dir(Path(batcher.version.__file__).parent, quiet=2)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key, address, proxy or state folder of the person who runs the tests is seen, here or in child processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(_OURS) and name not in _KEPT:
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("BATCHER_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this test alone, also for child processes; not made yet."""
    folder = tmp_path / "state"
    monkeypatch.setenv("BATCHER_STATE", str(folder))
    return folder


@pytest.fixture
def ledger(state: Path) -> Iterator[SqliteLedger]:
    """A ledger in the test's own state folder."""
    opened = SqliteLedger(state / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL of these tests alone; they skip where none is installed."""
    with started() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server) -> str:
    """The address of a database that all tests share; each has a schema of its own."""
    return postgres_server.address()


@pytest.fixture
def schema() -> str:
    """The name of a schema that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def make_simulator() -> Iterator[Callable[..., Running]]:
    """Starts simulators on free ports: `make_simulator(in_flight=2)`; renders are quick and all of the same length."""
    running: list[Running] = []

    def make(**changes: Any) -> Running:
        running.append(start(Behaviour(**{"render_s": 0.05, "spread": 0.0, "in_flight": 50, **changes})))
        return running[-1]

    yield make
    for each in running:
        each.stop()


@pytest.fixture
def simulator(make_simulator: Callable[..., Running]) -> Running:
    """A simulator with quick renders."""
    return make_simulator()


@pytest.fixture
def signed_in(simulator: Running, state: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The simulator, with an environment in which batcher finds it: address, key and state folder."""
    monkeypatch.setenv("HEYGEN_BASE_URL", simulator.url)
    monkeypatch.setenv("HEYGEN_API_KEY", TEST_KEY)
    return simulator


@pytest.fixture
def make_row() -> Callable[..., dict[str, str]]:
    """A row that works, with changes: `make_row(name="")`; names with blanks through `**{"First name": "Ann"}`."""
    return lambda **changes: {**ROW, **changes}


@pytest.fixture
def make_sheet(tmp_path: Path) -> Callable[..., Path]:
    """
    Writes a CSV file into the test's folder and returns its path.

    Rows are mappings, or sequences together with `header`; without any row there is the one of `make_row`. A column
    that a mapping does not name is empty.
    """

    def make(
        *rows: Mapping[str, str] | Sequence[str],
        header: Sequence[str] = (),
        name: str = "people.csv",
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> Path:
        rows = rows or (ROW,)
        columns = header or list(dict.fromkeys(key for row in rows if isinstance(row, Mapping) for key in row))
        path = tmp_path / name
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(columns)
            for row in rows:
                writer.writerow([row.get(key, "") for key in columns] if isinstance(row, Mapping) else row)
        return path

    return make


@pytest.fixture
def write_job(tmp_path: Path) -> Callable[..., Path]:
    """
    Writes a job file that works, with changes: `write_job(sheet={"where": "…"}, estimate="20 seconds")`.

    A mapping is laid over the default's own, but for `request`, which is replaced; None takes a key out. The file is
    JSON, which YAML is a superset of, with one key on each line. `file` names it.
    """

    def write(file: str = "job.yaml", **changes: Any) -> Path:
        value = dict(JOB)
        for key, change in changes.items():
            merge = isinstance(change, Mapping) and key != "request" and isinstance(value.get(key), Mapping)
            value[key] = {**value[key], **change} if merge else change
        value = {key: each for key, each in value.items() if each is not None}
        path = tmp_path / file
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_job(write_job: Callable[..., Path]) -> Callable[..., Job]:
    """Writes a job file as `write_job` does and loads it."""
    return lambda **changes: load_job(write_job(**changes))


@pytest.fixture
def bind(make_job: Callable[..., Job], make_sheet: Callable[..., Path]) -> Callable[..., BoundJob]:
    """
    A job over a sheet of these rows: `bind(make_row(), make_row(id="r2"), request={…})`.

    Without rows the sheet is taken as it lies there. `header` goes to `make_sheet`, `choices` (a kind to its
    `Choices`) to the job, everything else to `make_job`.
    """

    def make(
        *rows: Mapping[str, str] | Sequence[str],
        header: Sequence[str] = (),
        choices: Mapping[str, Choices] | None = None,
        **changes: Any,
    ) -> BoundJob:
        job = make_job(**changes)
        if rows:
            make_sheet(*rows, header=header, name=job.sheet.file.name)
        provider, operations = find_operations(job)
        sheet = open_job_sheet(job)
        return BoundJob(job, provider=provider, operations=operations, sheet=sheet, choices=choices or {})

    return make


@pytest.fixture
def settle_rows(ledger: SqliteLedger) -> Callable[..., None]:
    """
    Sends what is waiting and leaves each row in a state: `settle_rows(bound, {"r1": State.DONE, "r2": State.UNSURE})`.

    Rows that are not named stay waiting. `outputs` and further fields of `News` go to all of them; `into` is another
    ledger than the test's own. The job must have been planned.
    """

    def settle(
        bound: BoundJob,
        states: Mapping[str, State],
        *,
        into: SqliteLedger = ledger,
        at: float = 1_800_000_000.0,
        **changes: Any,
    ) -> None:
        wish = Admission(job=bound.job.name, account="a", now=at, at_most=10_000)
        sent = into.admit(wish, lambda each: Prepared(body=each.body, key=f"k{each.task_id}", token=f"t{each.task_id}"))
        news = []
        for attempt in sent.attempts:
            state = states.get(attempt.task.row_id, State.WAITING)
            if state is not State.SENDING:
                values = {"source": Source.ANSWER, "cause": "test", "answered": True, "checked": True, **changes}
                remote = "" if state in (State.WAITING, State.UNSURE) else f"vid_{attempt.attempt_id}"
                news.append(News(attempt_id=attempt.attempt_id, state=state, at=at, **{"remote_id": remote, **values}))
        into.record(news)

    return settle


@pytest.fixture(scope="session")
def store() -> Iterator[S3]:
    """A store of objects for all tests of this session."""
    with s3() as running:
        yield running


@pytest.fixture
def bucket(store: S3, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of this test alone, and an environment in which it is found."""
    for name, value in store_environment(store.url).items():
        monkeypatch.setenv(name, value)
    return store.bucket(f"test-{uuid.uuid4().hex}")
