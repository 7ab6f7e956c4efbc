"""The same person in two rows, by what columns of that name usually hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

_MAIL = re.compile(r"(e ?)?mail( ?adresse| address)?")
_PHONE = re.compile(r"(tele)?(phone|fon)( ?number|nummer)?|tel|mobile?( ?number|nummer)?|handy(nummer)?|cell( phone)?")
_NAME = re.compile(r"(full |customer |contact )?name|voller name|ansprechpartner|contact")
_FIRST = re.compile(r"first ?name|given ?name|vorname")
_LAST = re.compile(r"last ?name|family ?name|surname|nachname|familienname")
_COMPANY = re.compile(r"(company|firma|unternehmen|organi[sz]ation|kunde|firma kunde)( ?name)?")

_NO_DIGITS = re.compile(r"\D+")

PHONE_DIGITS = 8
"""Shorter numbers are extensions, which many share."""


class PersonColumns(Struct, frozen=True, kw_only=True):
    """Which columns tell who a row is about; None, or none of them, where the sheet has no such column."""

    mail: int | None = None
    phone: int | None = None
    names: tuple[int, ...] = ()
    company: int | None = None

    @classmethod
    def of(cls, header: Sequence[str]) -> PersonColumns:
        """By the header texts, in English and German."""
        plain = [re.sub(r"[\W_]+", " ", text).strip().casefold() for text in header]

        def first(pattern: re.Pattern[str]) -> int | None:
            return next((index for index, text in enumerate(plain) if pattern.fullmatch(text)), None)

        parts = [index for index in (first(_FIRST), first(_LAST)) if index is not None]
        whole = first(_NAME)
        names = parts if len(parts) == 2 or whole is None else [whole]
        return cls(mail=first(_MAIL), phone=first(_PHONE), names=tuple(names), company=first(_COMPANY))


class Persons(Struct, kw_only=True):
    """
    Remembers whom it has seen.

    A first name alone, or a company alone, is nobody; a telephone belongs to a person only together with a name.
    """

    columns: PersonColumns = PersonColumns()
    _seen: dict[int, int] = field(default_factory=dict)

    def earlier(self, cells: Sequence[str], number: int) -> tuple[int, int] | None:
        """
        Take a row in.

        Returns:
            The earlier row with the same person and the column that tells it; None when there is none.
        """
        found: tuple[int, int] | None = None
        for column, key in self._keys(cells):
            before = self._seen.setdefault(hash(key), number)
            if before != number and found is None:
                found = before, column
        return found

    def _keys(self, cells: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        columns = self.columns
        name = " ".join(filter(None, (_plain(cells[index]) for index in columns.names)))
        if columns.mail is not None and "@" in (mail := _plain(cells[columns.mail])):
            yield columns.mail, ("mail", mail)
        if columns.phone is not None and name:
            digits = _NO_DIGITS.sub("", cells[columns.phone]).removeprefix("00")
            if len(digits) >= PHONE_DIGITS:
                yield columns.phone, ("phone", digits, name)
        whole = len(columns.names) == 2 or " " in name
        if columns.company is not None and whole and (company := _plain(cells[columns.company])):
            yield columns.names[0], ("name", name, company)


def _plain(text: str) -> str:
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split())
