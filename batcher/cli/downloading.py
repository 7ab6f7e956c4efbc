"""download: what is missing of the files of finished rows."""

from __future__ import annotations

import click

from batcher.cli.options import JOB, QUIET, polite_stop, surroundings, together
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.downloads import Downloads, open_downloads
from batcher.ending import exit_code
from batcher.errors import Exit
from batcher.job import Job
from batcher.opening import check_results_file, opened
from batcher.wanted import count_files


@click.command()
@together(JOB, QUIET)
@each_sheet(takes=False)
def download(job: Job, *, quiet: bool) -> int:
    """
    Fetch the files of finished rows that are missing, those too that were given up; sends nothing that costs money.

    `run` does the same by itself, except for what was given up.

    \b
    Example:
      batcher download jobs/welcome.yaml
    """
    check_results_file(job)
    around = surroundings(job.path, quiet=quiet)
    with (
        opened(job, around) as at_hand,
        at_hand.held(around.tell),
        polite_stop() as interrupted,
    ):
        bound = at_hand.bound
        if not bound.downloads:
            say("the job names no files: say where they belong in results.download")
            return int(Exit.EDIT)
        downloads = open_downloads(at_hand, around)
        try:
            downloads.begin(again=True)
            while downloads.is_busy and not interrupted():
                downloads.step()
                downloads.collect(wait_s=0.5)
        finally:
            downloads.close()
        tally = at_hand.write_results().tally
        files = count_files(bound, at_hand.ledger)
        say(f"{downloads.fetched} fetched\nFiles    {files.words() or 'no row is finished yet'}")
        if interrupted():
            return int(Exit.INTERRUPTED)
        return int(_exit(downloads, exit_code(tally, files=files)))


def _exit(downloads: Downloads, usual: Exit) -> Exit:
    return Exit.NOT_FINISHED if downloads.disk_trouble else usual
