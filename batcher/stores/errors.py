"""
Why a store did not do what was asked, as a tree whose branches are chosen by what the caller does next.

    InputError
    └── StoreError       a person must mend something: what is not installed, credentials, the bucket, rights, room
        ├── StoreAway    not reachable now: the same again, later
        ├── Taken        something stands where nothing should: it is untouched
        └── Changed      something else stands there than was read: it is untouched
"""

from __future__ import annotations

from batcher.errors import Exit, InputError, Problem


class StoreError(InputError):
    """
    A store did not do what was asked; nothing of it stands there half.

    Args:
        where: The address, which holds no secret.
        message: What is wrong and what to do, in our words: those of the libraries may show credentials.
    """

    def __init__(self, where: object, message: str) -> None:
        super().__init__(Problem(where=str(where), message=message))


class StoreAway(StoreError):
    """The store cannot be reached now, or asks to be left alone for a while."""

    exit = Exit.NOT_FINISHED


class Taken(StoreError):
    """Something stands there already."""


class Changed(StoreError):
    """What stands there is no longer what was read."""
