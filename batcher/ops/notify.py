"""A word to the person when a run has finished, or cannot go on without them: never once per row."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from batcher.errors import Exit, InputError
from batcher.stores import replacing

DEADLINE_S = 30.0
"""A service that has not taken the message by then is left behind: the run must end."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))\Z", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NEEDS_A_PERSON = (Exit.STOPPED, Exit.EDIT, Exit.BUG, Exit.NOT_RECORDED)


class Situation(Struct, frozen=True, kw_only=True):
    """
    How a job stands at the end of a run, as far as it is worth a word.

    Attributes:
        exit: The exit code of the run.
        words: Rows by their word.
        identity: The line `400 rows = 374 done + …`; empty where the run never got so far.
        reason: Why it stopped; empty when it did not.
        spent: What it has cost, in words; empty where no price is known.
        results: Where the results are; empty where none were written.
        is_real: False for a rehearsal.
    """

    job: str
    exit: Exit
    words: Mapping[str, int]
    identity: str = ""
    reason: str = ""
    spent: str = ""
    results: str = ""
    is_real: bool = True


class Message(Struct, frozen=True, kw_only=True):
    """
    What is sent.

    Attributes:
        needs_a_person: Whether somebody must act before it can go on.
    """

    title: str
    body: str
    needs_a_person: bool


def what_to_tell(before: Situation | None, ending: Situation) -> Message | None:
    """
    The message for the end of a run; None when there is nothing new.

    A job that cron runs every quarter of an hour stops for the same reason every quarter of an hour: it is told once,
    and again only after something has changed.

    Args:
        before: How the job stood after its last run; None when that is not known.
        ending: How it stands now.
    """
    if ending.exit in (Exit.NOT_FINISHED, Exit.INTERRUPTED) or (before is not None and _is_the_same(before, ending)):
        return None
    stopped = ending.exit in _NEEDS_A_PERSON
    troubled = sum(ending.words.get(word, 0) for word in ("failed", "invalid", "unsure"))
    if stopped:
        news = "stopped, needs you"
    elif troubled:
        news = f"finished, {troubled} {'row needs' if troubled == 1 else 'rows need'} you"
    else:
        news = "finished"
    title = f"{ending.job}: {news}" if ending.is_real else f"REHEARSAL {ending.job}: {news}"
    return Message(title=title, body=_body(ending), needs_a_person=stopped)


def _is_the_same(before: Situation, ending: Situation) -> bool:
    """Whether the person knows it already."""
    if before.exit is not ending.exit or before.is_real is not ending.is_real:
        return False
    if ending.exit in _NEEDS_A_PERSON:
        # amounts, row numbers and times in a reason change from tick to tick without being news
        return re.sub(r"[\d.,:TZ-]+", "", before.reason) == re.sub(r"[\d.,:TZ-]+", "", ending.reason)
    return {word: count for word, count in before.words.items() if count} == {
        word: count for word, count in ending.words.items() if count
    }


def _body(ending: Situation) -> str:
    lines = [
        ending.identity,
        f"Why: {ending.reason}" if ending.reason else "",
        f"Spent: {ending.spent}" if ending.spent else "",
        f"Results: {ending.results}" if ending.results else "",
    ]
    return "\n".join(line for line in lines if line)


def notify(addresses: Sequence[str], message: Message, *, setting: Callable[[str], str]) -> list[str]:
    """
    Send a message to every address.

    Nothing that goes wrong is raised, since the work is done and recorded; and no address is ever shown, since they hold
    passwords and tokens.

    Args:
        addresses: As apprise writes them (`mailto://…`, `slack://…`); `$NAME` stands for what is set under that name,
            one or more of them with blanks between.
        message: What to send.
        setting: The value of an environment variable; empty when it is not set.

    Returns:
        What a person should be told: one sentence per address that did not take it.
    """
    said = []
    for name, address in _resolved(addresses, setting):
        trouble = _send(address, message) if address else "it is not set"
        if trouble:
            said.append(f"not notified through {name}: {trouble}")
    return said


def announce(addresses: Sequence[str], ending: Situation, *, folder: Path, setting: Callable[[str], str]) -> list[str]:
    """
    Notify where there is news since the last run of the job, and remember how it stands.

    What nobody has taken counts as not told: the next run tries again.

    Args:
        addresses: As for `notify`; without any, nothing is done.
        ending: How the job stands now.
        folder: Where it is remembered; made when it is not there.
        setting: As for `notify`.

    Returns:
        What a person should be told.
    """
    if not addresses:
        return []
    memory = folder / f"{hashlib.blake2b(ending.job.encode(), digest_size=8).hexdigest()}.json"
    message = what_to_tell(_recalled(memory), ending)
    said = notify(addresses, message, setting=setting) if message else []
    if message and len(said) >= len(addresses):
        return said
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(memory) as temporary:
            kept = {**asdict(ending), "exit": int(ending.exit), "words": dict(ending.words)}
            temporary.write_text(json.dumps(kept), encoding="utf-8")
    except (OSError, InputError) as error:
        said.append(f"that this was told cannot be remembered: {error}")
    return said


def _recalled(memory: Path) -> Situation | None:
    """How the job stood; None where nothing is remembered that we understand."""
    try:
        kept = json.loads(memory.read_text(encoding="utf-8"))
        return Situation(**{**kept, "exit": Exit(kept["exit"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def address_problems(addresses: Sequence[str], *, setting: Callable[[str], str]) -> list[str]:
    """What is wrong with addresses, before anything is sent; no network is used."""
    said = []
    for name, address in _resolved(addresses, setting):
        if not address:
            said.append(f"{name} is not set, in the environment or in a .env file")
        elif not _is_understood(address):
            said.append(f"{name} is no address that apprise understands, such as mailto://… or slack://…")
    return said


def _resolved(addresses: Sequence[str], setting: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Every address with a name that can be shown; an empty address where a variable is not set."""
    for entry in addresses:
        match = _VARIABLE.match(entry.strip())
        if match is None:
            yield _shown(entry.strip()), entry.strip()
            continue
        variable = match[1] or match[2]
        for address in setting(variable).split() or [""]:
            yield f"${variable}", address


def _shown(address: str) -> str:
    """What may be seen of an address."""
    match = _SCHEME.match(address)
    return f"{match[1]}://…" if match else "an address without a scheme"


def _is_understood(address: str) -> bool:
    from apprise import Apprise

    with _silence():
        try:
            return bool(Apprise().add(address))
        except Exception:  # noqa: BLE001 - see _send
            return False


def _send(address: str, message: Message) -> str:
    """Send to one address within the deadline; returns what went wrong, empty when nothing did."""
    outcome = ["no answer within half a minute"]

    def work() -> None:
        try:
            outcome[0] = _sent(address, message)
        except Exception as error:  # noqa: BLE001 - a hundred services, each with faults of its own: none may end a run
            outcome[0] = f"the service's module failed ({type(error).__name__})"

    with _silence():
        sender = threading.Thread(target=work, name="notify", daemon=True)
        sender.start()
        sender.join(DEADLINE_S)
    return outcome[0]


def _sent(address: str, message: Message) -> str:
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    service = Apprise(asset=AppriseAsset(app_id="batcher", app_desc="batcher", app_url=""))
    if not service.add(address):
        return "it is no address that apprise understands"
    kind = NotifyType.WARNING if message.needs_a_person else NotifyType.SUCCESS
    body = message.body or message.title
    if service.notify(body=body, title=message.title, notify_type=kind, body_format=NotifyFormat.TEXT):
        return ""
    return "the service could not be reached, or did not take it"


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the words of apprise and its wire away from everywhere (they quote addresses), and its modules' warnings."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3.connectionpool")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
