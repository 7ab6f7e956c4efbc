"""Where a job's key can be seen in what was written: nowhere."""

from __future__ import annotations

import base64
import html
import json
import mmap
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from batcher.api.account import REHEARSAL_KEY
from batcher.api.signing import KeySignature
from batcher.errors import ApiError, InputError
from batcher.open_job import OpenJob, ledger_name
from batcher.sheet.archive import open_archive
from batcher.stores import Location, look, on_disk


def secrets_of(opened: OpenJob) -> list[str]:
    """What signs the account's requests, without what stands before it; nothing where none can be had without the network."""
    account = opened.account
    if account is None or (opened.client is None and not isinstance(account.signature, KeySignature)):
        return []
    before = account.provider.key_value.format(key="")
    try:
        headers = account.signature.headers().values()
    except ApiError:  # a sign-in that cannot be renewed signs nothing
        return []
    return [each.removeprefix(before).removeprefix("Bearer ") for each in headers]


def places_of(secrets: Collection[str], opened: OpenJob) -> Iterator[str]:
    """A sentence for every file of ours that shows a secret, in any of the forms that files give it."""
    for secret in secrets:
        if secret == REHEARSAL_KEY:  # no secret, and a word that people write
            continue
        for path in _written(opened):
            with on_disk(path) as file:
                shows = _shows(file, _forms(secret))
            if shows:
                yield f"{path} shows the key: remove it, and make a new key"


def _written(opened: OpenJob) -> Iterator[Location]:
    yield from sorted(opened.state.glob(f"{ledger_name(opened.account)}*"))
    yield from sorted((opened.state / "logs").glob("*"))
    for path in (opened.job.results.file, opened.job.results.report):
        if path is not None and look(path) is not None:
            yield path


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    texts = {quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret), raw.hex()}
    found = {raw, *(text.encode() for text in texts)}
    for shift in range(3):  # inside a longer text, base64 begins at one of three places in the secret
        inner = raw[shift : len(raw) - (len(raw) - shift) % 3]
        found |= {base64.b64encode(inner), base64.urlsafe_b64encode(inner)}
    return found


def _shows(path: Path, forms: Collection[bytes]) -> bool:
    """Whether a file holds one of the forms; the parts of a workbook are packed."""
    if not path.stat().st_size:
        return False
    if zipfile.is_zipfile(path):
        try:
            archive = open_archive(path.read_bytes(), path.name)
        except InputError:
            return False  # damaged, which is told elsewhere: nobody can read it
        return any(form in part for part in map(archive.read, archive.parts) for form in forms)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(form) >= 0 for form in forms)
