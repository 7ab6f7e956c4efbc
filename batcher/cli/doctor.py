"""doctor: is everything in place?"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click

from batcher.cli.listing import WHOSE, provider_meant
from batcher.cli.options import surroundings, together
from batcher.cli.say import say
from batcher.errors import Exit
from batcher.ops.doctor import examine
from batcher.ops.reach import look_at_streaming


@click.command()
@together(*WHOSE)
@click.option("--streaming", is_flag=True, help="Also the hosts and ports that interactive avatars need.")
def doctor(*, provider_name: str, catalog: Path | None, streaming: bool) -> int:
    """
    Look at the ledger, the key, the host and the account; every line that is wrong says what to do.

    \b
    Examples:
      batcher doctor
      batcher doctor --streaming
      batcher doctor --catalog my_api.yaml
    """
    well = True
    around = surroundings()
    findings = examine(provider_meant(provider_name, catalog, around.environ), around)
    for finding in chain(findings, look_at_streaming() if streaming else ()):
        well = well and finding.is_well
        say(
            f"{'ok   ' if finding.is_well else 'WRONG'}  {finding.what}{f' → {finding.advice}' if finding.advice else ''}"
        )
    return int(Exit.DONE if well else Exit.EDIT)
