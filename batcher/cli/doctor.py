"""doctor: is everything in place?"""

from __future__ import annotations

import click

from batcher.cli.listing import provider_named
from batcher.cli.options import surroundings
from batcher.cli.say import say
from batcher.errors import Exit
from batcher.ops.doctor import examine


@click.command()
@click.option("--provider", "provider_name", default="heygen", show_default=True, help="Whose API.")
def doctor(*, provider_name: str) -> int:
    """
    Look at the ledger, the key, the host and the account; every line that is wrong says what to do.

    \b
    Example:
      batcher doctor
    """
    well = True
    for finding in examine(provider_named(provider_name), surroundings()):
        well = well and finding.is_well
        say(
            f"{'ok   ' if finding.is_well else 'WRONG'}  {finding.what}{f' → {finding.advice}' if finding.advice else ''}"
        )
    return int(Exit.DONE if well else Exit.EDIT)
