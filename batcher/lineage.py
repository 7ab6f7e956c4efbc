"""What the later steps of a row were made from, and which of them that has left behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from batcher.ledger.values import Standing
from batcher.model import State, TaskKey

Sources = Mapping[str, frozenset[str]]
"""The steps in order, each with the earlier ones whose outputs it uses."""

_UNMADE = (State.WAITING, State.INVALID)
NEEDS_A_PERSON = (State.FAILED, State.INVALID, State.UNSURE)
"""A step that stands so is not made by itself, and later ones wait for as long."""


def outdated(sources: Sources, row: Iterable[Standing]) -> dict[TaskKey, str]:
    """
    The tasks of a row that were made from an earlier version of another step, each with that step.

    A version counts once it is done. What was made from something outdated is outdated as well.
    """
    tasks = list(row)
    newest = {each.key.step: each.attempts for each in tasks if each.state is State.DONE}
    found: dict[TaskKey, str] = {}
    root: dict[str, str] = {}
    for step in sources:
        for task in (each for each in tasks if each.key.step == step and each.state not in _UNMADE):
            for source, attempt in task.made_from.items():
                is_older = newest.get(source, attempt) != attempt
                if is_older or source in root:
                    found[task.key] = source if is_older else root[source]
                    root.setdefault(step, found[task.key])
                    break
    return found


def followers(sources: Sources, steps: Collection[str]) -> set[str]:
    """The later steps that use what these steps make, directly or through others."""
    found: set[str] = set()
    for step, used in sources.items():
        if used & (found | set(steps)):
            found.add(step)
    return found - set(steps)


def stale(sources: Sources, row: Iterable[Standing]) -> set[TaskKey]:
    """The tasks of a row that are to be made again so that all of it is made from what the row holds now."""
    tasks = list(row)
    found = {each.key for each in tasks if each.changed} | set(outdated(sources, tasks))
    after = followers(sources, {key.step for key in found})
    return found | {each.key for each in tasks if each.key.step in after}


def unfinished(sources: Sources, task: Standing, row: Iterable[Standing]) -> list[Standing]:
    """The earlier steps of its row, in order, that must be done before a task can be sent."""
    order = {step: place for place, step in enumerate(sources)}
    own = order.get(task.key.step, 0)
    earlier = [each for each in row if order.get(each.key.step, own) < own and each.state is not State.DONE]
    return sorted(earlier, key=lambda each: order[each.key.step])


def hindrance(sources: Sources, task: Standing, row: Iterable[Standing]) -> Standing | None:
    """What a waiting task waits for although nobody makes it: the first earlier step of its row that needs a person."""
    return next((each for each in unfinished(sources, task, row) if each.state in NEEDS_A_PERSON), None)
