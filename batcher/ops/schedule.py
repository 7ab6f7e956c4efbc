"""Runs that start themselves: the line for cron, the units for systemd, and the user's crontab."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from batcher.errors import InputError, Problem

LONGEST_LINE = 990
"""Debian's cron refuses commands of a thousand bytes and more."""

PASSED = (
    "BATCHER_STATE", "BATCHER_ALLOW_HOST", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
    "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip
"""What a run reads from its environment beside the provider's own variables: cron would not have it."""

_MARKS = ("# >>> batcher ", "# <<< batcher ")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Tick(Struct, frozen=True, kw_only=True):
    """
    One job that is to be run again and again.

    Attributes:
        program: The console script, absolute.
        job_file: Absolute.
        label: The job's label.
        every_s: How often; one of what cron can say.
        log: Where its words go, absolute; the folder must be there before the first tick.
        environ: What it needs from the environment; never a secret.
        agreed: Whether the person agrees to every price beforehand.
    """

    program: Path
    job_file: Path
    label: str
    every_s: int
    log: Path
    environ: Mapping[str, str]
    agreed: bool

    @property
    def arguments(self) -> Sequence[str]:
        """The command as a program gets it."""
        words = [str(self.program), "run", str(self.job_file), "--for", _for_words(self.every_s), "--quiet"]
        return [*words, "--yes"] if self.agreed else words


def check_period(every_s: float) -> int:
    """
    The period, where cron can say it.

    Raises:
        InputError: It is no whole part of an hour, of a day, or exactly a day; names the nearest that is.
    """
    possible = [
        *(m * _MINUTE for m in range(1, 60) if 60 % m == 0),
        *(h * _HOUR for h in range(1, 24) if 24 % h == 0),
        _DAY,
    ]
    if every_s in possible:
        return int(every_s)
    nearest = min(possible, key=lambda each: abs(each - every_s))
    message = f"cron cannot say this period evenly; the nearest it can say is {_words(nearest)}"
    raise InputError(Problem(where="--every", message=message))


def passed_on(environ: Mapping[str, str], extra: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """
    What a tick gets from today's environment, and the names of what is too secret for it.

    Args:
        extra: Variables of the provider that are no secrets, such as its base address.
    """
    found = {name: environ[name] for name in (*PASSED, *extra) if environ.get(name)}
    secret = [name for name, value in found.items() if "@" in value]
    return {name: value for name, value in found.items() if name not in secret}, secret


def cron_line(tick: Tick) -> str:
    """
    The line of a crontab.

    It stands for itself: no `NAME=value` lines of its own, which would hold for everything below them. The exit code 75
    of a tick that overlaps another, or has more to do later, is no failure.

    Raises:
        InputError: cron cannot carry it.
    """
    settings = [f"{name}={value}" for name, value in tick.environ.items()]
    command = shlex.join([*(["env", *settings] if settings else []), *tick.arguments])
    line = f"{command} >> {shlex.quote(str(tick.log))} 2>&1 || [ $? -eq 75 ]"
    _check_one_line(tick)
    if "\\" in line:  # crons differ in what they make of one, before a per cent sign above all
        raise InputError(
            Problem(where=tick.job_file.name, message="cron cannot carry a backslash in a path; rename it")
        )
    # to cron a bare % is the end of the command, inside quotes too
    line = f"{_when(tick.every_s)} {line.replace('%', chr(92) + '%')}"
    if len(os.fsencode(line)) > LONGEST_LINE:
        message = "the line is too long for cron; move the job to a shorter path, or use --systemd"
        raise InputError(Problem(where=str(tick.job_file), message=message))
    return line


def systemd_units(tick: Tick) -> Iterator[tuple[str, str]]:
    """
    The service and the timer, as (file name, text).

    Raises:
        InputError: systemd cannot carry it.
    """
    _check_one_line(tick)
    name = f"batcher-{slug(tick.label)}"
    title = tick.label.replace("%", "%%")
    environment = "".join(
        f"Environment={_unit_word(f'{key}={value}', dollar=False)}\n" for key, value in tick.environ.items()
    )
    yield (
        f"{name}.service",
        f"[Unit]\nDescription=batcher: {title}\n\n[Service]\nType=oneshot\n{environment}"
        f"ExecStart={' '.join(_unit_word(word) for word in tick.arguments)}\n"
        "# 75: more to do at the next tick, or a run was under way; 3: some rows failed, which the results tell\n"
        f"SuccessExitStatus=3 75\nStandardOutput=append:{str(tick.log).replace('%', '%%')}\nStandardError=inherit\n",
    )
    calendar = _calendar(tick.every_s)
    yield (
        f"{name}.timer",
        f"[Unit]\nDescription=batcher: {title}, every {_words(tick.every_s)}\n\n[Timer]\nOnCalendar={calendar}\n"
        "Persistent=true\n\n[Install]\nWantedBy=timers.target\n",
    )


def slug(label: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", label).strip("-.") or "job"


class Crontab:
    """
    The user's crontab, of which only our own blocks are ever touched.

    Args:
        command: What reads it with `-l` and replaces it whole with `-`.
    """

    def __init__(self, command: Sequence[str] = ("crontab",)) -> None:
        self._command = command

    def read(self) -> str:
        """
        Its text; empty when there is none.

        Raises:
            InputError: There is no cron here, or it refuses this user.
        """
        done = self._call("-l")
        if done.returncode and b"no crontab for" not in done.stderr:
            raise self._refused(done)
        return "" if done.returncode else os.fsdecode(done.stdout)

    def write(self, text: str) -> None:
        """
        Replace it whole.

        Raises:
            InputError: It was refused, or does not read as it was written.
        """
        done = self._call("-", text)
        if done.returncode:
            raise self._refused(done)
        if self.read() != text:
            message = (
                "the crontab does not read as it was written; somebody else may have changed it: look with crontab -l"
            )
            raise InputError(Problem(where="crontab", message=message))

    def _call(self, argument: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
        environ = {**os.environ, "LC_ALL": "C"}  # its complaints are recognised by their words
        try:
            return subprocess.run(  # noqa: S603 - our own words, and no shell
                [*self._command, argument],
                input=os.fsencode(text),
                capture_output=True,
                check=False,
                timeout=60,
                env=environ,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"crontab does not work here ({error}); install cron, or use --systemd"
            raise InputError(Problem(where="crontab", message=message)) from error

    def _refused(self, done: subprocess.CompletedProcess[bytes]) -> InputError:
        said = done.stderr.decode("utf-8", "replace").strip() or f"it ended with {done.returncode}"
        return InputError(Problem(where="crontab", message=f"refused: {said}"))


def with_block(crontab: str, job_file: Path, line: str) -> str:
    """
    The crontab with the line of one job, in place of an older one of the same job file.

    Raises:
        InputError: Its marks do not pair.
    """
    kept = without_block(crontab, job_file)
    kept += "" if not kept or kept.endswith("\n") else "\n"
    begin, end = _marks(job_file)
    return f"{kept}{begin}\n{line}\n{end}\n"


def without_block(crontab: str, job_file: Path) -> str:
    """
    The crontab without one job; all else stays as it is, byte for byte.

    Raises:
        InputError: Its marks do not pair.
    """
    begin, end = _marks(job_file)
    kept, inside = [], False
    for line in re.findall(r"[^\n]*\n|[^\n]+", crontab):
        bare = line.rstrip("\n")
        if bare in (begin, end):
            if inside is (bare == begin):
                raise _unpaired(job_file)
            inside = bare == begin
        elif inside and bare.startswith(_MARKS):
            raise _unpaired(job_file)
        elif not inside:
            kept.append(line)
    if inside:
        raise _unpaired(job_file)
    return "".join(kept)


def block_of(crontab: str, job_file: Path) -> str:
    """The line that the crontab has for a job; empty without one."""
    begin, end = _marks(job_file)
    lines = crontab.split("\n")
    return "\n".join(lines[lines.index(begin) + 1 : lines.index(end)]) if begin in lines and end in lines else ""


def _check_one_line(tick: Tick) -> None:
    if any(len(text.splitlines()) > 1 for text in (tick.label, str(tick.log), *tick.arguments, *tick.environ.values())):
        raise InputError(
            Problem(where=tick.job_file.name, message="its path or name has a line break, which no schedule can carry")
        )


def _marks(job_file: Path) -> tuple[str, str]:
    begin, end = _MARKS
    return f"{begin}{job_file}", f"{end}{job_file}"


def _unpaired(job_file: Path) -> InputError:
    message = f"the marks around {job_file.name} do not pair; mend them with crontab -e (nothing was changed)"
    return InputError(Problem(where="crontab", message=message))


def _when(every_s: int) -> str:
    """The five fields of a crontab."""
    if every_s < _HOUR:
        return f"*/{every_s // _MINUTE} * * * *" if every_s > _MINUTE else "* * * * *"
    if every_s < _DAY:
        return f"0 */{every_s // _HOUR} * * *" if every_s > _HOUR else "0 * * * *"
    return "0 6 * * *"


def _calendar(every_s: int) -> str:
    """The same for systemd."""
    if every_s < _HOUR:
        return f"*:0/{every_s // _MINUTE}"
    return f"0/{every_s // _HOUR}:00" if every_s < _DAY else "06:00"


def _for_words(every_s: int) -> str:
    """How long a run may take so that the next one finds the door open: nine tenths, but half of a short period."""
    spare = max(60, every_s // 10)
    for_s = max(every_s - spare, every_s // 2)
    return f"{for_s // 60}m" if for_s >= 120 else f"{for_s}s"


def _words(seconds: int) -> str:
    if seconds % _HOUR:
        return f"{seconds // _MINUTE}m"
    return f"{seconds // _HOUR}h" if seconds < _DAY else "1d"


def _unit_word(text: str, *, dollar: bool = True) -> str:
    """A word as a unit file wants it: quoted, `%` doubled, and `$` where variables are replaced."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{quoted.replace("$", "$$") if dollar else quoted}"'
