"""What a person reads instead of an API's own names, and what stands in the example rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from batcher.sheet import normalise

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EXACT = frozenset({"code", "id", "number", "phone", "postcode", "sku", "zip"})
_EXAMPLES: dict[str, tuple[str, str]] = {
    "amount": ("129.00 EUR", "45.50 EUR"),
    "city": ("Hamburg", "Dublin"),
    "company": ("Becker & Sons", "Harbour Coffee"),
    "date": ("3 March", "next Friday"),
    "first name": ("Anna", "Liam"),
    "last name": ("Becker", "O'Connor"),
    "name": ("Anna", "Liam"),
    "product": ("the Ridge tent", "the Harbour jacket"),
}
"""For what templates often ask for; everything else shows what the template itself says."""


def header_for(name: str, *, is_picked: bool = False) -> str:
    """
    A header such as `First name` for `first_name`.

    Args:
        name: The API's own name.
        is_picked: Its values are chosen by name: `voice_id` is then a `Voice`.
    """
    words = _WORD.findall(_HUMP.sub(" ", normalise(name)))
    if is_picked and len(words) > 1 and words[-1].lower() == "id":
        words = words[:-1]
    if len(words) > 1 and words[-1].lower() == "url":
        words[-1] = "link"
    plain = [word if word.isupper() and len(word) > 1 else word.lower() for word in words]
    text = " ".join(plain) or "Value"
    return text[0].upper() + text[1:]


def free_header(header: str, taken: Collection[str], *, above: str = "") -> str:
    """
    The header, changed as far as it must be to differ from those that are taken.

    Args:
        header: What it would be.
        taken: In lower case.
        above: What it is part of, to tell it apart.
    """
    candidates = [header, *([f"{above} {header.lower()}"] if above else [])]
    candidates += [f"{header} to use", *(f"{header} {number}" for number in range(2, len(taken) + 3))]
    return next(each for each in candidates if each.casefold() not in taken)


def keeps_digits(name: str) -> bool:
    """Whether a value that looks like a number is none: a postcode keeps its zeros."""
    words = _WORD.findall(_HUMP.sub(" ", name))
    return bool(words) and words[-1].lower() in _EXACT


def usual_examples(header: str) -> Sequence[str]:
    """Two values for a header that many templates have; none for another."""
    return _EXAMPLES.get(header.casefold(), ())


def slug(text: str) -> str:
    """A name for files and jobs: letters, digits and hyphens."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
