"""Plans and endings in words; no effects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import asdict

from batcher.bound import BoundJob
from batcher.bound_step import BoundStep
from batcher.cli.endings import links_line, trouble_lines
from batcher.consent import needs_consent
from batcher.doubts import titles_carry_token
from batcher.ending import Ending
from batcher.errors import Problem
from batcher.files import size_words
from batcher.limits import limits_of
from batcher.lines import word_of
from batcher.listening import shortened
from batcher.marks import Mark, shown_day
from batcher.model import HELD, Json
from batcher.open_job import OpenJob
from batcher.plan import Plan
from batcher.price import rounding
from batcher.results import Tally
from batcher.sampling import usual_time
from batcher.units import Money, show_duration, show_length

SAMPLE = 3
"""Rows that a check advises to make first."""

HELD_DAYS = 6
"""Days of held rows that are shown one by one."""

PLACES = 8
"""Places of one kind that are shown without --verbose."""

SPOKEN = 200
"""Characters that are shown of a spoken text."""


def heading(opened: OpenJob, verb: str) -> str:
    """The first line: job, operation, and whether money is at stake."""
    return f"{opened.bound.job.name} · {opened.bound.title} · {verb}"


def account_line(opened: OpenJob) -> str:
    """Whose account, and what is left in it."""
    where = "REAL" if opened.is_real else "REHEARSAL"
    parts = [opened.info.name or (opened.account.host if opened.account else "not signed in")]
    if opened.info.balance is not None:
        parts.append(f"balance {Money(amount=opened.info.balance, currency=opened.info.unit or 'CREDITS')}")
    return f"{where} {' · '.join(parts)}"


def plan_lines(opened: OpenJob, plan: Plan, *, verbose: bool) -> Iterator[str]:
    """The plan, in the order in which a person decides."""
    bound = opened.bound
    yield f"Account  {account_line(opened)}"
    sheet = bound.sheet
    unused = [sheet.header[i] for i in bound.layout.kept if i not in bound.columns and sheet.header[i].strip()]
    facts = [f"{sheet.name} › {sheet.tab}" if sheet.tab else sheet.name, *opened.notes]
    if unused:
        facts.append(f"unused columns: {', '.join(unused[:8])}{' …' if len(unused) > 8 else ''}")
    yield f"Sheet    {' · '.join(facts)}"
    news = "as planned before" if plan.is_remembered else f"{plan.new} new, {plan.changed_count} changed"
    yield f"{plan_tally(plan).identity().removesuffix(' ✓')}   ({news})"
    if plan.problem_count:
        yield ""
        yield "Invalid  (only these wait)"
        yield from _places(
            plan.problems, plan.problem_count, verbose=verbose, more="; a run writes each reason beside its row"
        )
    if plan.link_faults:
        yield ""
        yield "Links  (a run does not look at them: mend these first, or they are sent as they are)"
        yield from _places(plan.link_faults, len(plan.link_faults), verbose=verbose)
    if opened.file_names:
        yield ""
        yield "Named otherwise  (the files of these rows)"
        yield from _places(opened.file_names, len(opened.file_names), verbose=verbose)
    if plan.doubt_count:
        yield ""
        yield "Look again  (will be sent)"
        yield from _places(plan.doubts, plan.doubt_count, verbose=verbose)
    yield from _spoken_lines(plan, verbose=verbose)
    if plan.changed_count:
        yield ""
        yield f"Changed after they were made (not made again): {_rows(plan.changed, plan.changed_count)}"
    yield from _again_lines(opened, plan)
    yield ""
    if plan.files:
        count = len(plan.files)
        yield f"Files    {count} to upload, {size_words(sum(plan.files.values()))}, each content once; free of charge"
    yield from _cost_lines(opened, plan)
    yield from _title_lines(bound)


def _places(some: Sequence[Problem], count: int, *, verbose: bool, more: str = "") -> Iterator[str]:
    """Places with what is said of them; the first ones, unless all are asked for."""
    shown = some if verbose else some[:PLACES]
    for each in shown:
        yield f"  {each.where}  {each.message}"
    if count > len(shown):
        yield f"  … {count - len(shown)} more{more}"


def _title_lines(bound: BoundJob) -> Iterator[str]:
    """What is put into titles, and what it costs to do without, where nothing else tells lost work apart."""
    for step in bound.steps.values():
        find, name = step.operation.repeat.find, step.operation.name
        if not find or not find.in_title or not step.operation.title_field:
            continue
        if titles_carry_token(step.operation, bound.job):
            yield f"Titles   of {name} carry a short token, by which lost work is found (title_token: false leaves it out)"
        elif not step.operation.repeat.has_key and not step.operation.repeat.free:
            yield f"Titles   of {name} carry no token: a row whose answer is lost cannot be searched for, stays unsure and may"
            yield "         have been paid for; you decide about it with batcher settle"


def _again_lines(opened: OpenJob, plan: Plan) -> Iterator[str]:
    """What is to be made, and paid for, once more; and which words ask for nothing."""
    if plan.again_count:
        price = f": ≈ {Money(amount=plan.again_cost, currency=opened.bound.currency)}" if plan.again_cost else ""
        rows = "1 row" if plan.again_count == 1 else f"{plan.again_count} rows"
        yield ""
        yield f"Again    {rows} again{price} ({_rows(plan.again_rows, plan.again_count)})"
    if plan.unheard_count:
        yield ""
        yield f"Unheard  'again' in {_rows(plan.unheard, plan.unheard_count)}: not finished yet, or written beside an"
        yield "         older state of the row (an old copy?); write it beside the newest results, or use batcher retry"
    if plan.misread:
        yield ""
        yield f"Misread  no word that means anything stands in {_rows(plan.misread, len(plan.misread))} of the"
        yield "         status column: again, hold and sample do; it is replaced"


def _rows(some: Sequence[int], count: int) -> str:
    return f"row{'s' if count != 1 else ''} {', '.join(map(str, some))}{' …' if count > len(some) else ''}"


def _cost_lines(opened: OpenJob, plan: Plan) -> Iterator[str]:
    if not plan.to_come:
        yield "Cost     nothing to send"
        return
    bound = opened.bound
    if plan.cost is None:
        yield "Cost     no price is known for this operation"
    else:
        amount = Money(amount=plan.cost, currency=bound.currency)
        rounded = rounding(step.operation.price for step in bound.steps.values() if step.operation.price)
        yield f"Cost     ≈ {amount} for {_to_come(plan)}; {', '.join(filter(None, [_prices_words(bound), rounded]))}"
        for step in bound.steps.values():
            yield f"         {_price_words(step, rows=plan.to_come if len(bound.steps) == 1 else 0)}"
        yield from _cover_lines(opened, plan)
    if line := time_line(opened, plan.to_come):
        yield line


def time_line(opened: OpenJob, tasks: int) -> str:
    """How long so much will take; empty where that is not known."""
    seconds, limits = usual_time(opened, tasks), limits_of(opened.job, opened.bound.provider)
    return f"Time     ≈ {show_duration(seconds)}, {limits.in_flight} at once" if seconds else ""


def job_name(opened: OpenJob) -> str:
    """What a person types to name the job."""
    return opened.job.path.name if opened.job.path else opened.job.name


def next_line(opened: OpenJob, plan: Plan, command: str) -> str:
    """What to do after a check: a few rows first where the rest would cost more than is passed without a question."""
    if needs_consent(opened, tasks=plan.to_come, cost=plan.cost) and not opened.ledger.sample(opened.job.name).lengths:
        few = min(SAMPLE, plan.to_come)
        price = (
            "" if plan.cost is None else Money(amount=plan.cost / plan.to_come * few, currency=opened.bound.currency)
        )
        return f"Next     {command} --sample {few}" + (f"      (≈ {price})" if price else "")
    return f"Next     {command}"


def _spoken_lines(plan: Plan, *, verbose: bool) -> Iterator[str]:
    """The texts of the riskiest rows, as they will be sent."""
    if plan.spoken:
        yield ""
        yield "Sounds like"
    for each in plan.spoken:
        yield f'  row {each.row_number} ({each.why}): "{each.text if verbose else shortened(each.text, SPOKEN)}"'


def _to_come(plan: Plan) -> str:
    """What the cost is for."""
    if not plan.later:
        return f"{plan.to_send} to send"
    steps = "later step" if plan.later == 1 else "later steps"
    return f"{plan.to_send} to send now and {plan.later} {steps}"


def _prices_words(bound: BoundJob) -> str:
    """Whose prices these are, and how old."""
    prices = [step.operation.price for step in bound.steps.values() if step.operation.price]
    own = list(dict.fromkeys(price.as_of for price in prices if price.as_of))
    words = [f"prices of the job, dated {', '.join(own)}"] if own else []
    if any(not price.as_of for price in prices):
        words.append(f"prices of {bound.provider.prices_as_of}")
    return " and ".join(words)


def _price_words(step: BoundStep, *, rows: int) -> str:
    """
    What one piece of work costs, and where its length is known that of all.

    Args:
        rows: How many there are to come; 0 where that is not told step by step.
    """
    price = step.operation.price
    if price is None:
        return f"{step.operation.name}: no price is known"
    amount, per = price.of(dict(step.step.request))  # a case that is the same for every row stands in the job
    words = f"{step.operation.name}: {amount:g} {price.currency} a {per}"
    if not amount and price.note:
        return f"{words} ({price.note})"
    if per not in ("second", "minute"):
        return words
    if step.length:
        sample = f"{step.length.rows} sample rows" if step.length.rows > 1 else "the sample row"
        return f"{words}, {step.length.seconds:.3g} s each as {sample} came out{_in_all(rows, step.length.seconds)}"
    if step.step.estimate_s:
        return f"{words}, {step.step.estimate_s:g} s each (your guess){_in_all(rows, step.step.estimate_s)}"
    return f"{words}, {price.guess_s:g} s each where nothing is known (a guess)"


def _in_all(rows: int, seconds: float) -> str:
    return f": {show_length(rows * seconds)} in all" if rows else ""


def _cover_lines(opened: OpenJob, plan: Plan) -> Iterator[str]:
    balance, each = opened.info.balance, (plan.cost or 0) / plan.to_come
    what = "pieces of work" if len(opened.bound.steps) > 1 else "rows"
    said = []
    if balance is not None and opened.info.unit == opened.bound.currency and balance < (plan.cost or 0) and each:
        said.append(f"the balance covers {int(balance / each)} {what}")
    budget = opened.job.limits.budget
    if budget and each and budget.amount < (plan.cost or 0):
        said.append(f"the budget of {budget} covers {int(budget.amount / each)} {what}")
    if said:
        yield f"         {', '.join(said)}"


def plan_tally(plan: Plan) -> Tally:
    """The plan's rows by the words that a person sees."""
    tally = Tally(rows=plan.rows)
    for state, count in plan.words.items():
        tally.words[word_of(state)] += count
    if plan.held:
        tally.words[HELD] += plan.held
    if plan.skipped:
        tally.words["skipped"] += plan.skipped
    return tally


def ending_lines(opened: OpenJob, ending: Ending, *, took_s: float) -> Iterator[str]:
    """What came of a run."""
    bound = opened.bound
    words = {0: "FINISHED", 3: "FINISHED", 4: "STOPPED", 75: "NOT FINISHED YET", 130: "INTERRUPTED", 2: "NEEDS YOU"}
    yield f"{bound.job.name} · {words.get(ending.exit, 'ENDED')} in {show_duration(took_s)} · {account_line(opened).split(' · ')[0]}"
    yield ending.tally.identity()
    if bound.currency:
        expected = f", {Money(amount=ending.expected, currency=bound.currency)} more in work" if ending.expected else ""
        yield f"Spent    ≈ {Money(amount=ending.cost, currency=bound.currency)}{expected} (by the price table)"
    if ending.reason:
        yield f"Why      {ending.reason}"
    name = job_name(opened)
    if ending.files.words():
        yield f"Files    {ending.files.words()}"
    yield from trouble_lines(opened, ending.tally)
    if line := links_line(ending.tally):
        yield line
    if ending.results_error:
        yield f"Results  {ending.results_error} → mend that, then: batcher results {name}"
    else:
        yield results_line(opened, ending)
    if ending.exit in (75, 130):
        yield "Next     run the same command again: nothing is sent twice"


def results_line(opened: OpenJob, ending: Ending) -> str:
    """Where the results stand, and why when that is not where the job wants them."""
    line = f"Results  {opened.job.place_of(ending.results_file)}"
    return f"{line}\n         {ending.results_note}" if ending.results_note else line


def held_line(tally: Tally) -> str:
    """What the held rows wait for, the next day first; empty where none is held."""
    said = [f"{count} until {shown_day(moment)}" for moment, count in sorted(tally.held.items()) if moment]
    if tally.held[0.0]:
        said.insert(0, f"{tally.held[0.0]} by the word {Mark.HOLD.value}")
    shown = [*said[:HELD_DAYS], f"… {len(said) - HELD_DAYS} more days"] if len(said) > HELD_DAYS else said
    return f"Held     {', '.join(shown)}" if said else ""


def held_summary(tally: Tally) -> dict[str, int]:
    """The held rows by the day for which they wait, or the word that keeps them back; machine-readable."""
    return {shown_day(at) if at else Mark.HOLD.value: count for at, count in sorted(tally.held.items()) if count}


def summary(opened: OpenJob, ending: Ending, **more: Json) -> str:
    """The machine-readable summary, with what a command adds to it."""
    return json.dumps(
        {
            "job": opened.bound.job.name,
            "operation": opened.bound.title,
            "account": "real" if opened.is_real else "rehearsal",
            "exit": int(ending.exit),
            "reason": ending.reason,
            "rows": ending.tally.rows,
            "words": dict(sorted(ending.tally.words.items())),
            "files": asdict(ending.files),
            "cost": round(ending.cost, 4),
            "cost_in_work": round(ending.expected, 4),
            "results": opened.job.place_of(ending.results_file),
            **more,
        },
        ensure_ascii=False,
    )


def plan_summary(opened: OpenJob, plan: Plan) -> str:
    """The machine-readable plan."""
    tally = plan_tally(plan)
    found: dict[str, Any] = {
        "job": opened.bound.job.name,
        "operation": opened.bound.title,
        "account": "real" if opened.is_real else "rehearsal",
        "rows": tally.rows,
        "words": dict(sorted(tally.words.items())),
        "new": plan.new,
        "changed": plan.changed_count,
        "again": plan.again_count,
        "to_send": plan.to_send,
        "later_steps": plan.later,
        "files_to_upload": len(plan.files),
        "bytes_to_upload": sum(plan.files.values()),
        "cost": None if plan.cost is None else round(plan.cost, 4),
        "problems": [{"where": problem.where, "message": problem.message} for problem in plan.problems],
        "links": [{"where": fault.where, "message": fault.message} for fault in plan.link_faults],
        "file_names": [{"where": each.where, "message": each.message} for each in opened.file_names],
        "doubts": [{"where": doubt.where, "message": doubt.message} for doubt in plan.doubts],
        "spoken": [{"row": each.row_number, "why": each.why, "text": each.text} for each in plan.spoken],
        "notes": list(opened.notes),
    }
    return json.dumps(found, ensure_ascii=False)
