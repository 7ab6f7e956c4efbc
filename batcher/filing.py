"""Where the files of finished rows belong: `results.download` held against the operations and the sheet's header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from batcher.catalog.model import Operation
from batcher.errors import InputError, Problem
from batcher.job import Download, Job
from batcher.mapping.expression import ExpressionError
from batcher.mapping.leaf import Lookup, parse_parts, split_template
from batcher.mapping.node import Filling, Leaf, Omit
from batcher.schema import unknown_key
from batcher.stores import CloudPath, Location
from batcher.stores.path import has_scheme, parse_cloud

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")
_CAPTIONS = "captions"
_CAPTION_OUTPUTS = ("subtitle_url", "srt_url", "caption_url", "vtt_url")
"""What operations call their captions; a job may say `captions` for whichever there is."""


class FilePlace(Struct, frozen=True, kw_only=True):
    """
    A file that is wanted of every task of one step.

    Attributes:
        step: Whose output it is.
        output: The link that it is fetched from: `video_url`.
        folder: Which it never leaves; absolute, or in the cloud.
        leaves: The parts of its path below the folder; the last is its name.
        suffix: What the name ends in: `.mp4`.
        job_path: Where it stands in the job file.
    """

    step: str
    output: str
    folder: Location
    leaves: tuple[Leaf, ...]
    suffix: str
    job_path: tuple[str, ...]

    @property
    def column(self) -> str:
        """The output under which the results show its path: `video_file`."""
        return file_column(self.output)

    @property
    def columns(self) -> frozenset[int]:
        """The columns of the sheet that its name uses."""
        return frozenset(column for leaf in self.leaves for column in leaf.columns())

    @property
    def is_known_early(self) -> bool:
        """Whether its name can be told before anything was made."""
        return not any(leaf.is_later for leaf in self.leaves)

    def parts(
        self, cells: Sequence[str], *, names: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]]
    ) -> tuple[str, ...]:
        """
        The parts of a row's path, as they are wished; what is empty stays empty.

        Args:
            cells: The row's texts.
            names: Fan-out name to its member.
            outputs: What the steps of the row have made, by their names.
        """
        row = Filling(cells=cells, names=names, outputs=outputs)
        texts = (leaf.text(row) for leaf in self.leaves)
        return tuple("" if isinstance(text, Omit) else text for text in texts)


def file_column(output: str) -> str:
    """`video_file` for `video_url`."""
    return f"{output.removesuffix('_url')}_file"


def columns_with_files(operation: Operation, step: str, places: Sequence[FilePlace]) -> list[str]:
    """The columns of an operation's outputs, each file beside its link."""
    wanted = [place.output for place in places if place.step == step]
    links = dict.fromkeys([*operation.columns, *wanted])
    return [each for link in links for each in (link, *([file_column(link)] if link in wanted else []))]


def file_places(
    job: Job, operations: Sequence[Operation], *, lookup: Lookup, headers: Sequence[str]
) -> tuple[FilePlace, ...]:
    """
    The files that a job wants, in the order of the job file.

    Raises:
        InputError: An output that there is not, a column that there is not, or a path that cannot be one; all of them.
    """
    found: list[FilePlace] = []
    problems: list[Problem] = []
    for download in job.results.downloads:
        try:
            step, output = _source(job, operations, download)
            place = _place(job, operations, download, lookup=lookup, headers=headers, step=step, output=output)
        except ValueError as error:
            problems.append(job.problem(download.place, str(error)))
            continue
        if any((each.step, each.output) == (step, output) for each in found):
            problems.append(job.problem(download.place, f"{output} is fetched already"))
        found.append(place)
    if problems:
        raise InputError(*problems)
    return tuple(found)


def _source(job: Job, operations: Sequence[Operation], download: Download) -> tuple[str, str]:
    """
    Step and output that a name means: outputs of the last step by their own names, of earlier ones behind the step's.

    Raises:
        ValueError: There is none.
    """
    known: dict[str, tuple[str, str]] = {}
    for step, operation in zip(job.steps, operations, strict=True):
        before = "" if step is job.steps[-1] else f"{step.name}_"
        links = _links(operation)
        known |= {f"{before}{output.removesuffix('_url')}": (step.name, output) for output in links}
        if captions := _captions(links, suffix=_suffix(download.template)):
            known.setdefault(f"{before}{_CAPTIONS}", (step.name, captions))
    last, links = job.steps[-1], _links(operations[-1])
    if not links:
        raise ValueError(f"{last.operation} makes no file that could be fetched")
    if not download.name:
        return last.name, "video_url" if "video_url" in links else links[0]
    if download.name not in known:
        said = unknown_key(download.name, known).replace("unknown key", f"{last.operation} has no file", 1)
        raise ValueError(said.replace("known keys are", "it has", 1))
    return known[download.name]


def _links(operation: Operation) -> list[str]:
    """The outputs that lead to a file; a page to look at is none."""
    return [name for name in operation.output_names if name.endswith("_url") and name != "page_url"]


def _captions(links: Sequence[str], *, suffix: str) -> str:
    order = sorted(_CAPTION_OUTPUTS, key=lambda name: not (suffix == ".vtt" and name == "vtt_url"))
    return next((name for name in order if name in links), "")


def _suffix(template: str) -> str:
    found = _SUFFIX.search(template)
    return found[0].lower() if found else ""


def _place(
    job: Job,
    operations: Sequence[Operation],
    download: Download,
    *,
    lookup: Lookup,
    headers: Sequence[str],
    step: str,
    output: str,
) -> FilePlace:
    """
    The compiled template.

    Raises:
        ValueError: It cannot be read, names what there is not, or can be no path.
    """
    suffix = _SUFFIX.search(download.template)
    if suffix is None:
        raise ValueError("the name must end in the kind of file it is, such as .mp4")
    folder, texts = _split(download)
    names = [each.for_each.name for each in job.steps if each.for_each and each.name == step]
    steps = {each.name: operation.output_names for each, operation in zip(job.steps, operations, strict=True)}
    leaves = []
    for text in texts:
        try:
            parts = parse_parts(text, lookup=lookup, names=names, headers=headers, steps=steps)
        except ExpressionError as error:
            raise ValueError(str(error)) from error
        leaves.append(Leaf(job_path=download.place, parts=parts))
    return FilePlace(
        step=step,
        output=output,
        folder=download.folder or folder,
        leaves=tuple(leaves),
        suffix=suffix[0],
        job_path=download.place,
    )


def folders_of(job: Job) -> list[Location]:
    """The folders that the files of a job do not leave; of a template that can be read."""
    found: list[Location] = []
    for download in job.results.downloads:
        with suppress(ValueError):
            found.append(download.folder or _split(download)[0])
    return found


def _split(download: Download) -> tuple[Location, list[str]]:
    """
    The folder that no file leaves, which is all that stands before the first cell, and the parts below it.

    Raises:
        ValueError: It cannot be a path.
    """
    parts = _parts(download.template)
    if len(parts) > 2 and parts[1] == "" and has_scheme(download.template):
        return _split_cloud(parts)
    fixed = next((index for index, text in enumerate(parts) if "{{" in text), len(parts) - 1)
    fixed = min(fixed, len(parts) - 1)
    below = [text for text in parts[fixed:] if text not in ("", ".")]
    if ".." in below or not below:
        raise ValueError("'..' can stand only before the first cell of a path")
    above = "/".join(parts[:fixed])
    try:
        return (download.base / Path(above or ("/" if fixed else "")).expanduser()).resolve(), below
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"'{above}' cannot be a folder: {error}") from error


def _split_cloud(parts: Sequence[str]) -> tuple[CloudPath, list[str]]:
    """
    The same for `s3://bucket/…`: a cell can name neither the store nor the bucket.

    Raises:
        ValueError: It is no address.
    """
    fixed = next((index for index, text in enumerate(parts) if "{{" in text), len(parts) - 1)
    if fixed < 3:
        raise ValueError(
            "a file in the cloud needs a name below its bucket, and the bucket no cell: s3://BUCKET/{{ id }}.mp4"
        )
    folder = parse_cloud("/".join(parts[:fixed]))
    below = list(parts[fixed:])
    if any(text in ("", ".", "..") for text in below):
        raise ValueError("an address in the cloud has no empty part, '.' or '..'")
    return folder, below


def _parts(template: str) -> list[str]:
    """
    A template split at its own slashes; a slash within {{ }} belongs to a header or an expression.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        pieces = split_template(template)
    except ExpressionError as error:
        raise ValueError(str(error)) from error
    parts = [""]
    for is_expression, text in pieces:
        if is_expression:
            parts[-1] += "{{" + text + "}}"
            continue
        first, *more = text.split("/")
        parts[-1] += first
        parts += more
    return parts
