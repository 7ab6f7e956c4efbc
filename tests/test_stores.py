"""The stores: one contract over a folder, S3, and what fsspec has for tests; addresses, and every way to fail."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core import exceptions as azure
from botocore import exceptions as boto
from cloud_standin import Bucket
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from gcsfs.retry import HttpError
from google.auth import exceptions as google

from batcher.errors import Exit
from batcher.stores import (
    NOTHING,
    Changed,
    CloudPath,
    Inventory,
    Store,
    StoreAway,
    StoreError,
    Taken,
    edited,
    look,
    on_disk,
    replacing,
)
from batcher.stores.backend import Backend, _azure, _google, _s3, open_backend
from batcher.stores.door import store_of
from batcher.stores.folder import FolderStore
from batcher.stores.inventory import ONE_BY_ONE
from batcher.stores.objects import ObjectStore
from batcher.stores.path import located, parse_cloud, parse_location, shown_from

_BACKENDS = {"s3": _s3, "gs": _google, "abfs": _azure}


class Shop:
    """A store under test, and how its places are called."""

    def __init__(self, store: Store[Any], folder: Any, scratch: Path) -> None:
        self.store, self.folder, self._scratch = store, folder, scratch

    def at(self, *names: str) -> Any:
        return self.folder.joinpath(*names)

    def file(self, content: bytes) -> Path:
        path = self._scratch / uuid.uuid4().hex
        path.write_bytes(content)
        return path

    def put(self, place: Any, content: bytes, *, expects: str | None = None) -> None:
        if isinstance(place, Path):
            place.parent.mkdir(parents=True, exist_ok=True)
        self.store.put(self.file(content), place, expects=expects)

    def read(self, place: Any) -> bytes:
        target = self.file(b"")
        self.store.bring(place, target)
        return target.read_bytes()

    def mark(self, place: Any) -> str:
        standing = self.store.look(place)
        assert standing is not None
        return standing.mark


@pytest.fixture(params=["folder", "memory", "file", "s3"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Each store, with an empty folder `made` in it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder = tmp_path / "made"
    folder.mkdir()
    if request.param == "folder":
        return Shop(FolderStore(), folder, scratch)
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        place = CloudPath(scheme="s3", bucket=bucket.name, parts=("made",))
        return Shop(store_of(place), place, scratch)
    if request.param == "file":
        place = CloudPath(scheme="file", bucket="", parts=folder.parts[1:])
        return Shop(
            ObjectStore(Backend(system=LocalFileSystem(auto_mkdir=True, skip_instance_cache=True))), place, scratch
        )
    place = CloudPath(scheme="memory", bucket=uuid.uuid4().hex, parts=("made",))
    return Shop(ObjectStore(Backend(system=MemoryFileSystem(skip_instance_cache=True))), place, scratch)


# --- the contract


def test_nothing_stands_where_nothing_was_put(shop: Shop) -> None:
    """Nor does a folder count as a file."""
    shop.put(shop.at("below", "a.mp4"), b"A")

    assert shop.store.look(shop.at("a.mp4")) is None
    assert shop.store.look(shop.at("below")) is None
    with pytest.raises(StoreError):
        shop.read(shop.at("a.mp4"))


def test_what_was_put_stands_there_whole_and_every_writing_has_its_mark(shop: Shop) -> None:
    """Under names with blanks, umlauts and what addresses give a meaning to."""
    place = shop.at("Ä b#c%20 & d.mp4")
    shop.put(place, b"first")
    first = shop.mark(place)
    shop.put(place, b"again")

    assert shop.read(place) == b"again"
    assert shop.store.look(place).size == 5
    assert shop.mark(place) != first


def test_what_is_to_be_new_takes_nobodys_place(shop: Shop) -> None:
    """Unless the very same stands there already."""
    place = shop.at("a.mp4")
    shop.put(place, b"theirs", expects=NOTHING)
    shop.put(place, b"theirs", expects=NOTHING)
    for ours in (b"ours!!", b"another length"):
        with pytest.raises(Taken, match="stands there already"):
            shop.put(place, ours, expects=NOTHING)

    assert shop.read(place) == b"theirs"


def test_only_what_was_read_is_replaced(shop: Shop) -> None:
    """A change of somebody else's in between stands."""
    place = shop.at("book.xlsx")
    shop.put(place, b"one")
    read = shop.mark(place)
    shop.put(place, b"ours", expects=read)
    with pytest.raises(Changed, match="has changed since it was read"):
        shop.put(place, b"lost", expects=read)

    assert shop.read(place) == b"ours"


def test_a_renamed_file_is_where_it_was_put_and_takes_nobodys_place(shop: Shop) -> None:
    """The old name is free then."""
    old, new = shop.at("a.mp4"), shop.at("a.before-1.mp4")
    shop.put(old, b"older")
    shop.store.rename(old, new)
    shop.put(old, b"newer", expects=NOTHING)
    with pytest.raises(Taken):
        shop.store.rename(old, new)

    assert (shop.read(old), shop.read(new)) == (b"newer", b"older")


def test_all_that_is_below_a_folder_is_told_with_its_size(shop: Shop) -> None:
    """What merely begins with the same letters is not below it."""
    shop.put(shop.at("in", "a.mp4"), b"A")
    shop.put(shop.at("in", "deep", "b.mp4"), b"BB")
    shop.put(shop.at("inner.mp4"), b"CCC")

    assert shop.store.sizes(shop.at("in")) == {"a.mp4": 1, "deep/b.mp4": 2}
    assert shop.store.sizes(shop.at("none")) == {}


def test_a_place_that_can_be_written_to_is_required_without_a_word(shop: Shop) -> None:
    """Whether something stands there or not; and nothing is left of the trial."""
    shop.put(shop.at("deep", "a.csv"), b"A")
    shop.store.require(shop.at("deep", "a.csv"))
    shop.store.require(shop.at("deep", "new", "b.csv"))

    assert shop.store.sizes(shop.at("deep")) == {"a.csv": 1}


def test_a_file_is_given_away_whole_or_not_at_all(shop: Shop) -> None:
    """What the block of `begin` leaves unfinished is gone with it."""
    place = shop.at("a.csv")
    shop.put(place, b"old")
    with shop.store.begin(place) as temporary:
        temporary.write_bytes(b"new")
    assert not temporary.exists()
    assert shop.read(place) == b"old"


# --- what is done with files wherever they stand


@pytest.fixture(params=["folder", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A folder of this machine, and one in S3."""
    if request.param == "folder":
        return tmp_path
    return CloudPath(scheme="s3", bucket=request.getfixturevalue("bucket").name, parts=("made",))


def test_a_block_that_fails_replaces_nothing(home: Any) -> None:
    """The file that was there stands; the next block is a new one."""
    place = home.joinpath("out.csv")
    with replacing(place) as file:
        file.write_text("one")
    with pytest.raises(ZeroDivisionError), replacing(place) as file:
        file.write_text("broken off")
        _ = 1 / 0

    with on_disk(place) as file:
        assert file.read_text() == "one"
        assert file.suffix == ".csv"


def test_an_edited_file_in_the_cloud_is_put_back_once_and_only_over_what_was_read(bucket: Bucket) -> None:
    """A block that changes nothing writes nothing, and one that comes too late changes nothing."""
    place = parse_cloud(f"{bucket}/book.xlsx")
    bucket.put("book.xlsx", "one")
    before = bucket.marks()
    with edited(place) as file:
        assert (file.name, file.read_text()) == ("book.xlsx", "one")
    assert bucket.marks() == before

    with edited(place) as file:
        file.write_text("ours")
    assert bucket.get("book.xlsx") == b"ours"

    with pytest.raises(Changed), edited(place) as file:
        file.write_text("too late")
        bucket.put("book.xlsx", "theirs")
    assert bucket.get("book.xlsx") == b"theirs"


def test_the_condition_goes_with_the_writing_itself(bucket: Bucket) -> None:
    """S3 refuses what comes between our look and our writing, be the object new or replaced."""
    place = parse_cloud(f"{bucket}/a.mp4")
    system = open_backend(place).system
    ours = Path(__file__)

    class Late(type(system)):  # type: ignore[misc]
        """Somebody else is quicker, by just as much as cannot be seen before."""

        def put_file(self, lpath: str, rpath: str, **rest: Any) -> None:
            bucket.put("a.mp4", "theirs")
            super().put_file(lpath, rpath, **rest)

    late = ObjectStore(Backend(system=Late(skip_instance_cache=True), only_over=open_backend(place).only_over))
    with pytest.raises(Taken):
        late.put(ours, place, expects=NOTHING)
    bucket.put("a.mp4", "read")
    standing = look(place)
    assert standing is not None
    with pytest.raises(Changed):
        late.put(ours, place, expects=standing.mark)

    assert bucket.get("a.mp4") == b"theirs"


class Losing(MemoryFileSystem):
    """Takes half of what it is given, and says that all is well."""

    protocol = "losing"

    def put_file(self, lpath: str, rpath: str, **rest: Any) -> None:
        data = Path(lpath).read_bytes()
        self.pipe_file(rpath, data[: len(data) // 2])


def test_a_file_that_has_not_arrived_whole_is_told(tmp_path: Path) -> None:
    """The length is looked at afterwards, whatever the store has said."""
    store = ObjectStore(Backend(system=Losing(skip_instance_cache=True)))
    (tmp_path / "a.mp4").write_bytes(b"12345678")
    with pytest.raises(StoreError, match="of 8 bytes that were written there 4 have arrived"):
        store.put(tmp_path / "a.mp4", CloudPath(scheme="losing", bucket="b", parts=("a.mp4",)), expects=NOTHING)


def test_few_files_are_looked_at_and_many_are_listed(bucket: Bucket) -> None:
    """A tick over a thousand files does not ask a thousand times; a file that is missing is noticed either way."""
    folder = parse_cloud(f"{bucket}/videos")
    for number in range(2 * ONE_BY_ONE):
        bucket.put(f"videos/{number}.mp4", "x" * number)
    store = store_of(folder)
    asked: list[str] = []
    system = store._system
    info, find = system.info, system.find
    system.info = lambda *args, **rest: asked.append("info") or info(*args, **rest)
    system.find = lambda *args, **rest: asked.append("find") or find(*args, **rest)

    inventory = Inventory(asks=True)
    found = [inventory.holds(folder.joinpath(f"{n}.mp4"), n, folder=folder) for n in range(2 * ONE_BY_ONE)]

    assert all(found)
    assert not inventory.holds(folder.joinpath("none.mp4"), 1, folder=folder)
    assert not inventory.holds(folder.joinpath("7.mp4"), 8, folder=folder)
    assert asked == ["info"] * ONE_BY_ONE + ["find"]


# --- addresses


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a/b.csv",
        "gs://bucket/Ä b.csv",
        "abfs://container/a.csv",
        "abfs://container@account.dfs.core.windows.net/a.csv",
        "abfss://container@account.dfs.core.windows.net/a/b c.xlsx",
    ],
)
def test_an_address_reads_back_as_it_was_written(text: str, tmp_path: Path) -> None:
    """In the job, and from what the ledger has kept of it."""
    place = parse_location(text, tmp_path)

    assert str(place) == text
    assert located(tmp_path, shown_from(tmp_path, place)) == place
    assert located(place.parent, shown_from(place.parent, place)) == place


def test_a_file_of_this_machine_is_found_again_from_results_in_the_cloud(tmp_path: Path) -> None:
    """Nothing is relative to a bucket."""
    home = parse_cloud("s3://bucket/out")
    assert located(home, shown_from(home, tmp_path / "a.mp4")) == tmp_path / "a.mp4"
    assert located(tmp_path, shown_from(tmp_path, tmp_path / "a.mp4")) == tmp_path / "a.mp4"


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///a.csv",
        "s3://key:hidden-word@bucket/a.csv",
        "s3://bucket//a.csv",
        "s3://bucket/../a.csv",
        "s3://bucket/./a.csv",
        "s3://bucket/a.csv?hidden-word",
        "s3://bucket/a\nb.csv",
        "ftp://user:hidden-word@host/a.csv",
        "https://host/a.csv?hidden-word",
        "memory://bucket/a.csv",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_a_secret(text: str, tmp_path: Path) -> None:
    """People put passwords into addresses."""
    with pytest.raises(ValueError, match=r"known here|no address|has an empty part") as refused:
        parse_location(text, tmp_path)
    assert "hidden-word" not in str(refused.value)


# --- every way to fail


def _client_error(code: str) -> Exception:
    error = OSError(22, "hidden-word")
    error.__cause__ = boto.ClientError({"Error": {"Code": code, "Message": "hidden-word"}}, "PutObject")
    return error


FAILURES: list[tuple[str, Callable[[], BaseException], type[StoreError], str]] = [
    ("s3", boto.NoCredentialsError, StoreError, "accepts no sign-in"),
    ("s3", lambda: boto.ProfileNotFound(profile="hidden-word"), StoreError, "accepts no sign-in"),
    ("s3", lambda: boto.EndpointConnectionError(endpoint_url="hidden-word"), StoreAway, "cannot be reached"),
    ("s3", lambda: boto.ReadTimeoutError(endpoint_url="hidden-word"), StoreAway, "cannot be reached"),
    ("s3", lambda: boto.ParamValidationError(report="hidden-word"), StoreError, "refuses"),
    ("s3", lambda: aiohttp.ClientError("hidden-word"), StoreAway, "cannot be reached"),
    ("s3", lambda: TimeoutError("hidden-word"), StoreAway, "cannot be reached"),
    ("s3", lambda: PermissionError("hidden-word"), StoreError, "does not allow it"),
    ("s3", lambda: FileNotFoundError("hidden-word"), StoreError, "is not there"),
    ("s3", lambda: FileExistsError("hidden-word"), Taken, "stands there already"),
    ("s3", lambda: _client_error("SlowDown"), StoreAway, r"cannot be reached now \(SlowDown\)"),
    ("s3", lambda: _client_error("PreconditionFailed"), Changed, "has changed"),
    ("s3", lambda: _client_error("ConditionalRequestConflict"), Changed, "has changed"),
    ("s3", lambda: _client_error("InvalidBucketName"), StoreError, r"refuses \(InvalidBucketName\)"),
    ("gs", lambda: google.DefaultCredentialsError("hidden-word"), StoreError, "accepts no sign-in"),
    ("gs", lambda: google.TransportError("hidden-word"), StoreAway, "cannot be reached"),
    ("gs", lambda: HttpError({"code": 403, "message": "hidden-word"}), StoreError, "does not allow it"),
    ("gs", lambda: HttpError({"code": 412, "message": "hidden-word"}), Changed, "has changed"),
    ("gs", lambda: HttpError({"code": 503, "message": "hidden-word"}), StoreAway, "cannot be reached"),
    ("abfs", lambda: azure.ClientAuthenticationError("hidden-word"), StoreError, "accepts no sign-in"),
    ("abfs", lambda: azure.ServiceRequestError("hidden-word"), StoreAway, "cannot be reached"),
    ("abfs", lambda: azure.HttpResponseError("hidden-word"), StoreError, "refuses"),
]


@pytest.mark.parametrize(("scheme", "make", "expected", "said"), FAILURES)
def test_every_failure_of_a_library_has_its_class_and_our_words(
    scheme: str, make: Callable[[], BaseException], expected: type[StoreError], said: str
) -> None:
    """None falls through, none of their words is repeated: they may show credentials."""
    place = CloudPath(scheme=scheme, bucket="bucket", parts=("a.csv",))
    store = ObjectStore(_BACKENDS[scheme](None))
    with pytest.raises(expected, match=said) as told, store._border(place):
        raise make()

    assert type(told.value) is expected
    assert "hidden-word" not in str(told.value)
    assert str(told.value).startswith(f"{place}: ")
    assert told.value.exit is (Exit.NOT_FINISHED if expected is StoreAway else Exit.EDIT)


def test_what_is_not_installed_is_told_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(StoreError, match=r"^s3://nowhere/a.csv: s3:// needs more .* pip install 'batcher\[cloud\]'$"):
        look(parse_cloud("s3://nowhere/a.csv"))
