"""A provider and its operations as frozen values; what each field means stands in the catalogue's own schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from batcher.catalog.pick import Pick
from batcher.model import Json
from batcher.units import Rate


class Kind(str, Enum):
    """What happens next after a failure."""

    REJECT = "reject"
    """This row will never work."""
    WAIT = "wait"
    """Nothing was made; the account waits."""
    AGAIN = "again"
    """The same again is safe, after a short wait."""
    DOUBT = "doubt"
    """May have been made."""
    STOP = "stop"
    """No row of this account will work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRule:
    """
    What the API's own code says about the next step.

    Attributes:
        advice: What the person can do, in one sentence; empty when the message says it all.
        slots_only: For WAIT: true of the answer when only the number at once is too high; None when it cannot tell.
    """

    kind: Kind
    advice: str = ""
    slots_only: Pick | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorTable:
    """How a provider words its failures."""

    rules: Mapping[str, ErrorRule]
    code: Pick | None = None
    message: Pick | None = None
    param: Pick | None = None
    wrong: Pick | None = None

    def advice(self, code: str) -> str:
        """What to do about a code; empty when nothing is known."""
        rule = self.rules.get(code)
        return rule.advice if rule else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """How a list is read page by page."""

    size: str
    most: int
    token: str
    next: Pick
    more: Pick | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceList:
    """
    Where the valid values of a field come from.

    Attributes:
        id: None when the items are the values themselves.
    """

    path: str
    items: Pick
    id: Pick | None = None
    name: Pick | None = None
    pages: Pages | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountCall:
    """Who the key belongs to, and what is left."""

    path: str
    name: Pick | None = None
    balance: Pick | None = None
    unit: Pick | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SingleSource:
    """One request for one piece of work; `{id}` in the path is its id."""

    path: str
    item: Pick


@dataclass(frozen=True, kw_only=True, slots=True)
class ListSource:
    """Pages of all the account's work, newest first, with state and links."""

    path: str
    items: Pick
    id: Pick
    pages: Pages | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkSource:
    """
    The states of up to `most` ids in one request.

    Attributes:
        ready: True of an item that is finished and whose links stand elsewhere; None when items are complete.
    """

    path: str
    ids: str
    most: int
    items: Pick
    id: Pick
    ready: Pick | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settle:
    """
    How an outcome is learned.

    Attributes:
        columns: The outputs that always get a column, in order; further outputs get one when a row has them.
        link_columns: Outputs that are links which expire.
        link_days: How long they live when the link itself does not say.
        usual_s: Render time to expect before any was seen.
        overdue_h: Age from which a piece of work is marked overdue and no longer holds a slot.
    """

    word: Pick
    done: Pick
    failed: Pick
    get: SingleSource
    outputs: Mapping[str, Pick]
    columns: tuple[str, ...]
    missing: Pick | None = None
    error_code: Pick | None = None
    error: Pick | None = None
    stops: frozenset[str] = frozenset()
    completed_at: Pick | None = None
    link_columns: tuple[str, ...] = ()
    link_days: float | None = None
    usual_s: float = 60
    overdue_h: float = 24
    list: ListSource | None = None
    bulk: BulkSource | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """
    How our token is searched for in the settle section's list.

    Attributes:
        field: Where in an item the token stands.
        query: Parameters that narrow the list; `{token}` is the token.
    """

    field: Pick
    query: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """
    What may be done when an answer is lost.

    Attributes:
        key_header: The header of the idempotency key; empty without one.
        key_hours: How long the provider remembers a key.
        find: How the work can be searched for; None when it cannot.
        free: Repeating costs nothing.
    """

    key_header: str = ""
    key_hours: float = 0
    find: Find | None = None
    free: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceCase:
    """Another price where `field` of the body is `value`."""

    field: Pick
    value: str
    amount: float
    per: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """
    What one piece costs.

    Attributes:
        per: `second` (of output, rounded up to whole seconds per row) or `video`.
        guess_s: The length to assume when nothing better is known.
        text: Field of the body with the spoken text, from which the length is estimated; empty when there is none.
    """

    per: str
    amount: float
    currency: str
    guess_s: float = 30
    text: str = ""
    note: str = ""
    cases: tuple[PriceCase, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """
    One thing an API can be asked for.

    Attributes:
        path: Where it is sent; `{name}` parts are keys of the request.
        id: Where the id stands in the answer.
        body: JSON Schema of the body.
        token_field: Field of the body for our token; empty when there is none.
        title_field: Field of the body for a title; empty when there is none.
        settle: None for a synchronous operation: then the answer is the outcome.
        shape: Path pattern in the request (`*` is any key or index) to the name of a shape.
        choices: Path pattern in the body to the name of a choice list.
    """

    name: str
    title: str
    path: str
    id: Pick
    repeat: Repeat
    body: Json
    token_field: str = ""
    title_field: str = ""
    settle: Settle | None = None
    price: Price | None = None
    shape: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The keys of the request that go into the path."""
        import string

        return tuple(name for _, name, _, _ in string.Formatter().parse(self.path) if name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """
    Whose API it is.

    Attributes:
        key_variable: Environment variable with the credential.
        key_header, key_value: The header that carries it; `{key}` in the value stands for the credential.
        shapes: Name of a shape to its cases, tried in order.
    """

    name: str
    title: str
    base_url: str
    base_url_variable: str
    key_variable: str
    key_header: str
    key_value: str
    errors: ErrorTable
    operations: Mapping[str, Operation]
    in_flight: int | None = None
    submissions: tuple[Rate, ...] = ()
    account: AccountCall | None = None
    prices_as_of: str = ""
    choices: Mapping[str, ChoiceList] = field(default_factory=dict)
    shapes: Mapping[str, tuple[Mapping[str, Json], ...]] = field(default_factory=dict)
