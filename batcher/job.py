"""The job file, loaded once into a frozen value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, field

from batcher.document import Document, Misfit, document_from_value, read_document
from batcher.errors import InputError, Problem
from batcher.google_link import GoogleLink
from batcher.model import Json
from batcher.pattern import complaints, is_pattern
from batcher.reader import Reader, location_at, path_at, sheet_and_results
from batcher.stores import CloudPath, Location
from batcher.units import Money, Rate, parse_duration, parse_money, parse_rates

T = TypeVar("T")
_THRESHOLD = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(%?)\s*(?:failed)?\s*\Z")
SEPARATORS = ";,\n"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
WORKBOOKS = (".xlsx", ".xlsm")
"""The files that can take the results in place."""
CONTENT = "content"
"""The `row_id` that means: the cells themselves."""


class SheetPart(Struct, frozen=True, kw_only=True):
    """
    Which spreadsheet, and which of its rows; see the schema for each field. An empty text means: not given.

    Attributes:
        file: With a `*` in its name all such files of a folder; for a Google Sheet a name that no file has. May be in
            the cloud, as may results, report and downloads.
        link: The Google Sheet; None for a file.
        is_dropped: It is one of the files of an inbox.
    """

    file: Location
    row_id: str
    link: GoogleLink | None = None
    is_dropped: bool = False
    tab: str = ""
    header_row: int = 1
    where: str = ""
    encoding: str = ""
    delimiter: str = ""
    not_before: str = ""


class StopAfter(Struct, frozen=True, kw_only=True):
    """
    When failures stop the run.

    Attributes:
        count: So many failed rows; None when a share is given.
        share: So large a share of the finished rows, once `after` have finished.
    """

    count: int | None = None
    share: float = 0.2
    after: int = 20

    def __str__(self) -> str:
        return f"{self.count} failed" if self.count is not None else f"{self.share * 100:g}% failed"


class Limits(Struct, frozen=True, kw_only=True):
    """
    What the job allows itself; None means that only the account limits it.

    Attributes:
        batch: How many rows go in one request at most, where the operation has batches.
        confirm_above: What a run may cost before a person is asked.
        asks_anywhere: The job itself says `confirm_above`: it then holds on an address of this machine as well, so
            that a campaign can be practised whole.
    """

    in_flight: int | None = None
    batch: int = 1
    submissions: tuple[Rate, ...] = ()
    budget: Money | None = None
    confirm_above: Money = Money(amount=25, currency="USD")
    asks_anywhere: bool = False
    stop_after: StopAfter = StopAfter()


class Poll(Struct, frozen=True, kw_only=True):
    """How often the API may be asked for outcomes."""

    at_most_every_s: float = 2.0
    budget: Rate = Rate(count=60, window_s=60)


class ForEach(Struct, frozen=True, kw_only=True):
    """
    A fan-out.

    Attributes:
        name: What the member is called in the request.
        members: A fixed list; empty when a column holds it.
        column: The column whose cell holds the list; empty with a fixed list.
        separators: The characters at which the cell is split.
    """

    name: str
    members: tuple[str, ...] = ()
    column: str = ""
    separators: str = SEPARATORS


class Download(Struct, frozen=True, kw_only=True):
    """
    A file that is fetched for every finished row.

    Attributes:
        name: Which, as its column is called without `_url`: `video`; empty for the operation's main one.
        template: Its path as the job has it, with cells in it.
        base: What the path is relative to.
        place: The keys under which it stands in the job file.
        folder: Where it goes whatever the template says; None for what it says.
    """

    name: str
    template: str
    base: Path
    place: tuple[str, ...]
    folder: Path | None = None


class ResultsPart(Struct, frozen=True, kw_only=True):
    """
    Where the results go.

    Attributes:
        is_wide: A fan-out becomes columns rather than lines.
        report: A page to look at; None without one.
        escape_formulas: In CSV, the user's own cells that look like formulas are made harmless too.
        downloads: The files that are fetched; mostly none.
    """

    file: Location
    prefix: str = ""
    bom: bool = True
    is_wide: bool = False
    report: Location | None = None
    escape_formulas: bool = False
    downloads: tuple[Download, ...] = ()


class OwnPrice(Struct, frozen=True, kw_only=True):
    """
    What an operation costs this person.

    Attributes:
        per: `second`, `minute`, `character`, `video` or `call`.
        as_of: When it was read.
        step_s: Output is billed in steps of so many seconds.
    """

    amount: float
    currency: str
    per: str
    as_of: str
    step_s: float = 1


class Step(Struct, frozen=True, kw_only=True):
    """
    One operation of a job; its request is not yet held against the operation.

    Attributes:
        name: Empty for the only step of a job without `steps`.
        place: The keys under which it stands in the job file.
        when: The rows that it is for; empty means all of them.
        estimate_s: The length of a video that the person expects, in seconds; None when not given.
        settings: Values for the operation's settings, by name.
        document: The job file, for places in messages.
    """

    name: str
    place: tuple[str, ...]
    operation: str
    request: Mapping[str, Json]
    document: Document
    when: str = ""
    for_each: ForEach | None = None
    estimate_s: float | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        """A problem at a key of the step."""
        return self.document.problem((*self.place, *path), message)


class Job(Struct, frozen=True, kw_only=True):
    """
    A job file that fits its schema.

    Attributes:
        name: The label under which the ledger keeps it.
        path: The job file; None for a job made in Python.
        folder: What paths in the job are relative to.
        files: Folders whose files cells may name, beside the sheet's own.
        steps: What is done for each row, in order; at least one.
        resend_lost: Lost rows are sent again without a question.
        resend_below: Only those that cost no more than this; None without such a limit.
        resubmit_changed: Rows that have changed since they were made are made again without a question.
        catalog: The file that describes a provider of the user's own; None without one.
        prices: Prices of the person's own, by operation.
        notify: Addresses of those who are told; `$NAME` stands for one in the environment.
        document: The file itself, for places in messages.
    """

    name: str
    path: Path | None
    folder: Path
    base_url: str
    sheet: SheetPart
    steps: tuple[Step, ...]
    limits: Limits
    poll: Poll
    results: ResultsPart
    document: Document
    resend_lost: bool = False
    resend_below: Money | None = None
    title_token: bool | None = None
    resubmit_changed: bool = False
    catalog: Path | None = None
    prices: Mapping[str, OwnPrice] = field(default_factory=dict)
    notify: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def is_in_place(self) -> bool:
        """Whether the results go into the sheet's own workbook, or the Google Sheet that the rows come from."""
        takes_them = self.sheet.link is not None or self.sheet.file.suffix.lower() in WORKBOOKS
        return takes_them and self.results.file == self.sheet.file

    def place_of(self, file: Location | None) -> str:
        """What a person is told of where results stand; None means: where the job wants them."""
        if file in (None, self.results.file) and self.sheet.link is not None and self.is_in_place:
            return str(self.sheet.link)
        return str(file or self.results.file)

    @property
    def is_inbox(self) -> bool:
        """Whether the sheet is a folder of them; each file then has a job of its own."""
        is_file = self.sheet.link is not None or isinstance(self.sheet.file, CloudPath)
        return not is_file and not self.sheet.is_dropped and is_pattern(self.sheet.file)

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        """A problem at a key of the job file."""
        return self.document.problem(path, message)


@cache
def job_schema() -> dict[str, Any]:
    """The JSON Schema of a job file."""
    text = (Path(__file__).parent / "job.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def load_job(path: Path) -> Job:
    """
    Read a job file.

    Raises:
        InputError: Everything that is wrong with it, each with file, line and column.
    """
    # The ledger knows a job by this path: the same file by another way must not be another job.
    folder = path.absolute().parent.resolve()
    try:
        document = read_document(path, job_schema())
    except Misfit as misfit:
        raise InputError(*misfit.problems, *_wrong_amounts(misfit.document)) from misfit
    return _build(document, path=folder / path.name, folder=folder)


_AMOUNTS: Mapping[tuple[str, ...], Callable[[str], object]] = {
    ("estimate",): parse_duration,
    ("limits", "submissions"): parse_rates,
    ("limits", "budget"): parse_money,
    ("limits", "confirm_above"): parse_money,
    ("poll", "at_most_every"): parse_duration,
    ("poll", "budget"): parse_rates,
    ("resend_below",): parse_money,
}


def _wrong_amounts(document: Document) -> list[Problem]:
    """What is wrong with the amounts of a file that does not fit as a whole, so that all of it is told at once."""
    found: list[Problem] = []
    steps = document.value.get("steps") if isinstance(document.value, dict) else None
    amounts = {**_AMOUNTS, ("limits", "stop_after"): _stop_after}
    amounts |= {("steps", name, "estimate"): parse_duration for name in (steps if isinstance(steps, dict) else ())}
    for path, parse in amounts.items():
        value = document.value
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str):
            try:
                parse(value)
            except ValueError as error:
                found.append(document.problem(path, str(error)))
    return found


def job_from_dict(value: Mapping[str, Json], *, folder: Path) -> Job:
    """
    A job made in Python.

    Args:
        value: What a job file would hold.
        folder: What its paths are relative to.

    Raises:
        InputError: As `load_job`.
    """
    name = value.get("job")
    document = document_from_value(dict(value), name=name if isinstance(name, str) else "job", schema=job_schema())
    return _build(document, path=None, folder=folder)


def _build(document: Document, *, path: Path | None, folder: Path) -> Job:
    value = document.value
    reader = Reader(document)
    sheet, results = value["sheet"], value["results"]
    limits = _limits(reader, value.get("limits", {}))
    poll = _poll(reader, value.get("poll", {}))
    sheet_file, results_file, link = sheet_and_results(reader, folder, sheet["file"], results["file"])
    catalog = path_at(reader, folder, "catalog") if "catalog" in value else None
    report_file = location_at(reader, folder, "results", "report") if "report" in results else None
    files = tuple(path_at(reader, folder, "files", index) for index in range(len(value.get("files", ()))))
    steps = _steps(reader, document)
    resend_below = reader.parsed(("resend_below",), parse_money) if "resend_below" in value else None
    is_own_file = sheet_file == results_file
    if is_own_file and results.get("fan_out") == "long":
        message = (
            "a sheet that takes its own results has one line per row: write wide, or give results.file another name"
        )
        reader.complain(("results", "fan_out"), message)
    if link is None:
        for path_of, message in complaints(value, folder=folder, sheet=sheet_file, results=results_file):
            reader.complain(path_of, message)
    reader.raise_problems()
    return Job(
        name=value["job"],
        path=path,
        folder=folder,
        files=files,
        base_url=value.get("account", {}).get("base_url", ""),
        sheet=SheetPart(
            file=sheet_file,
            link=link,
            row_id=sheet["row_id"],
            tab=sheet.get("tab", ""),
            header_row=sheet.get("header_row", 1),
            where=sheet.get("where", ""),
            encoding=sheet.get("encoding", ""),
            delimiter=DELIMITERS.get(sheet.get("delimiter", ""), ""),
            not_before=sheet.get("not_before", ""),
        ),
        steps=steps,
        limits=limits,
        poll=poll,
        results=ResultsPart(
            file=results_file,
            prefix=results.get("prefix", ""),
            bom=results.get("bom", True),
            is_wide=results.get("fan_out", "wide" if is_own_file else "long") == "wide",
            report=report_file,
            escape_formulas=results.get("escape_formulas", False),
            downloads=_downloads(results.get("download", {}), folder),
        ),
        document=document,
        resend_lost=value.get("on_lost") == "resend",
        resend_below=resend_below,
        title_token=value.get("title_token"),
        resubmit_changed=value.get("on_change") == "resubmit",
        notify=tuple(value.get("notify", ())),
        catalog=catalog,
        prices={name: OwnPrice(**price) for name, price in value.get("prices", {}).items()},
    )


def _steps(reader: Reader, document: Document) -> tuple[Step, ...]:
    """The steps of the job; a job without `steps` has one, without a name."""
    chain = document.value.get("steps")
    places: list[tuple[str, ...]] = [("steps", name) for name in chain] if chain else [()]
    steps = tuple(_step(reader, document, place) for place in places)
    fanned = [step for step in steps if step.for_each]
    if len(fanned) > 1:
        reader.complain((*fanned[1].place, "for_each"), "only one step of a job can have for_each")
    return steps


def _step(reader: Reader, document: Document, place: tuple[str, ...]) -> Step:
    value = document.value
    for part in place:
        value = value[part]
    return Step(
        name=place[-1] if place else "",
        place=place,
        operation=value["operation"],
        request=value["request"],
        document=document,
        when=value.get("when", ""),
        for_each=_for_each(reader, value.get("for_each"), (*place, "for_each")),
        estimate_s=reader.parsed((*place, "estimate"), parse_duration) if "estimate" in value else None,
        settings=value.get("settings", {}),
    )


def _downloads(value: str | Mapping[str, str], base: Path) -> tuple[Download, ...]:
    place = ("results", "download")
    if isinstance(value, str):
        return (Download(name="", template=value, base=base, place=place),)
    return tuple(Download(name=name, template=text, base=base, place=(*place, name)) for name, text in value.items())


def _limits(reader: Reader, value: Mapping[str, Any]) -> Limits:
    defaults = Limits()

    def read(key: str, parse: Callable[[str], T], default: T) -> T:
        return reader.parsed(("limits", key), parse) or default if key in value else default

    budget: Money | None = None
    return Limits(
        in_flight=value.get("in_flight"),
        batch=value.get("batch", defaults.batch),
        submissions=read("submissions", parse_rates, ()),
        budget=reader.parsed(("limits", "budget"), parse_money) if "budget" in value else budget,
        confirm_above=read("confirm_above", parse_money, defaults.confirm_above),
        asks_anywhere="confirm_above" in value,
        stop_after=read("stop_after", _stop_after, defaults.stop_after),
    )


def _poll(reader: Reader, value: Mapping[str, Any]) -> Poll:
    poll = Poll()
    every = reader.parsed(("poll", "at_most_every"), parse_duration) if "at_most_every" in value else None
    rates = reader.parsed(("poll", "budget"), parse_rates) if "budget" in value else None
    return Poll(at_most_every_s=every or poll.at_most_every_s, budget=rates[0] if rates else poll.budget)


def _stop_after(text: str) -> StopAfter:
    match = _THRESHOLD.match(text.lower())
    amount = float(match[1]) if match else 0.0
    share = match is not None and match[2] == "%"
    if amount <= 0 or (share and amount > 100) or (not share and not amount.is_integer()):
        raise ValueError(f"'{text}' is no threshold; write for example 20% failed, or 50 failed")
    return StopAfter(share=amount / 100) if share else StopAfter(count=int(amount))


def _for_each(reader: Reader, value: Mapping[str, Any] | None, place: tuple[str, ...]) -> ForEach | None:
    if not value:
        return None
    ((name, members),) = value.items()
    if isinstance(members, list):
        return ForEach(name=name, members=tuple(dict.fromkeys(member.strip() for member in members)))
    path = (*place, name, "split")
    separators = reader.parsed(path, _separators) if "split" in members else None
    return ForEach(name=name, column=members["column"], separators=separators or SEPARATORS)


def _separators(text: str) -> str:
    separators = text.replace("newline", "\n").replace("tab", "\t").replace(" ", "")
    if not separators:
        raise ValueError("names no separator; write for example ; , newline")
    return separators
