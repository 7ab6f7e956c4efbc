"""The group of commands; each is imported when it is called."""

from __future__ import annotations

import importlib

import click

from batcher.version import VERSION

_COMMANDS = {
    "init": ("init", "A workbook to fill in and its job file, for any operation."),
    "run": ("running", "Send rows, watch them, and write the results: the whole job."),
    "check": ("looking", "Validate everything and show the plan; sends nothing."),
    "approve": ("approving", "Keep your agreement to the plan, for runs without a terminal."),
    "submit": ("running", "Only send what may be sent now."),
    "reconcile": ("running", "Only look at what is in work, once."),
    "status": ("looking", "Where the rows of a job stand."),
    "results": ("looking", "Write the results file again from the ledger."),
    "download": ("downloading", "Fetch what is missing of the files of finished rows."),
    "settle": ("settling", "Decide about rows whose answer was lost."),
    "verify": ("verifying", "Whether every promise holds: ledger, results, sheet and API side by side."),
    "retry": ("retrying", "Ask for rows once more."),
    "adopt": ("adopting", "Take over work that was made on another machine."),
    "schedule": ("scheduling", "Runs that start themselves: cron or systemd."),
    "login": ("signing", "Sign in through the browser instead of with a key."),
    "logout": ("signing", "Forget a sign-in."),
    "list": ("listing", "Names and ids of the account: templates, avatars, voices, languages."),
    "doctor": ("doctor", "Is everything in place? Key, host, account, ledger."),
    "worker": ("working", "Work on jobs that were handed over, beside other machines."),
    "workers": ("working", "Who is alive, and at what."),
    "ledger": ("ledgers", "Move the ledger: into a database that many machines share, or back."),
    "operations": ("catalog", "What can be asked for; with NAME, in detail."),
    "schema": ("catalog", "Print the JSON Schema of a job file."),
    "simulator": ("simulating", "A local HeyGen to try everything on."),
}


class _Lazy(click.Group):
    """Knows every command's name and first line without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module = importlib.import_module(f"batcher.cli.{found[0]}")
        command: click.Command = getattr(module, "list_" if cmd_name == "list" else cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, message="batcher %(version)s")
def batcher() -> None:
    """
    A spreadsheet goes in, each row becomes paid work at a video API, and the same spreadsheet comes out with links and
    reasons beside every row: each row done once, paid once, and accounted for.

    \b
    Begin with:
      batcher init heygen.template --template-id ID
      batcher check jobs/welcome.yaml
      batcher run jobs/welcome.yaml --rehearse
      batcher run jobs/welcome.yaml
    """
