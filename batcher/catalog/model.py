"""A provider and its operations as frozen values; what each field means stands in the catalogue's own schema."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from batcher.catalog.assets import Assets
from batcher.catalog.pick import Pick, as_text
from batcher.catalog.source import AccountCall, BatchItems, BulkSource, ChoiceList, ListSource, SingleSource
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


class ErrorRule(Struct, frozen=True, kw_only=True):
    """
    What the API's own code says about the next step.

    Attributes:
        advice: What the person can do, in one sentence; empty when the message says it all.
        slots_only: For WAIT: true of the answer when only the number at once is too high; None when it cannot tell.
        name: The code that is shown for a failure that was known by its text; empty for rules that go by the code.
    """

    kind: Kind
    advice: str = ""
    slots_only: Pick | None = None
    name: str = ""


class Retired(Struct, frozen=True, kw_only=True):
    """
    How an endpoint that is no longer there answers.

    Attributes:
        statuses: HTTP statuses; 404 counts for writes only, since a look-up may simply not know its id.
        say: What the person is told.
    """

    statuses: frozenset[int]
    say: str

    def matches(self, status: int, *, is_write: bool) -> bool:
        """Whether an answer without a code that is known means this."""
        return status in self.statuses and (is_write or status != 404)


class ErrorTable(Struct, frozen=True, kw_only=True):
    """
    How a provider words its failures.

    Attributes:
        rules: By the API's code as text, and by the names of the rules that go by the message.
        texts: Part of a message, in lower case, to the rule that it means; the first that fits counts.
        retired: How endpoints answer that are no longer there; None when none is known to go.
        about: The API's code to the fields of the body that such a failure may be about, where the answer names none.
    """

    rules: Mapping[str, ErrorRule]
    texts: tuple[tuple[str, ErrorRule], ...] = ()
    code: Pick | None = None
    message: Pick | None = None
    param: Pick | None = None
    wrong: Pick | None = None
    retired: Retired | None = None
    about: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def rule(self, code: str, message: str) -> ErrorRule | None:
        """What is known about a failure: by its words first, then by its code; None when nothing is."""
        said = message.casefold()
        return next((rule for text, rule in self.texts if text in said), None) or self.rules.get(code)

    def advice(self, code: str) -> str:
        """What to do about a code; empty when nothing is known."""
        rule = self.rules.get(code)
        return rule.advice if rule else ""


class Reading(Struct, frozen=True, kw_only=True):
    """
    What an item of an answer says about a piece of work.

    Attributes:
        word: The API's own word for the state; None when it has none.
        columns: The outputs that always get a column, in order; further outputs get one when a row has them.
        link_columns: Outputs that are links which expire.
        link_days: How long they live when the link itself does not say.
    """

    done: Pick
    outputs: Mapping[str, Pick]
    columns: tuple[str, ...]
    failed: Pick | None = None
    word: Pick | None = None
    missing: Pick | None = None
    error_code: Pick | None = None
    error: Pick | None = None
    stops: frozenset[str] = frozenset()
    completed_at: Pick | None = None
    link_columns: tuple[str, ...] = ()
    link_days: float | None = None


class ReadAtOnce(Reading, frozen=True, kw_only=True):
    """
    How the answer of a synchronous operation is read.

    Attributes:
        item: Where in the answer the item stands.
    """

    item: Pick


class Settle(Reading, frozen=True, kw_only=True):
    """
    How an outcome is learned that takes its time.

    Attributes:
        usual_s: Render time to expect before any was seen.
        overdue_h: Age from which a piece of work is marked overdue and no longer holds a slot.
    """

    get: SingleSource
    usual_s: float = 60
    overdue_h: float = 24
    list: ListSource | None = None
    bulk: BulkSource | None = None


class Find(Struct, frozen=True, kw_only=True):
    """
    How our token is searched for.

    Attributes:
        field: Where in an item the token stands.
        query: Parameters that narrow the list; `{token}` is the token.
        in_title: The token stands in the title, where a person sees it, and not in a field of its own.
        list: The list to search; None for that of the settle section.
    """

    field: Pick
    query: Mapping[str, str]
    in_title: bool = False
    list: ListSource | None = None


class Repeat(Struct, frozen=True, kw_only=True):
    """
    What may be done when an answer is lost. With none of these a person decides.

    Attributes:
        key_header: The header of the idempotency key; empty without one.
        key_field: The field of the body for the idempotency key, dotted; empty without one.
        key_hours: How long the provider remembers a key.
        find: How the work can be searched for; None when it cannot.
        free: Repeating costs nothing.
    """

    key_header: str = ""
    key_field: str = ""
    key_hours: float = 0
    find: Find | None = None
    free: bool = False

    @property
    def has_key(self) -> bool:
        """Whether the provider knows a repeated request by its key."""
        return bool(self.key_header or self.key_field)


class Batch(Struct, frozen=True, kw_only=True):
    """
    How many pieces of work are asked for in one request. Each body becomes one item, and items are known by their index.

    Attributes:
        path: Where it is sent.
        wrap: The field of the body that holds the bodies, in order.
        most: How many there may be.
        id: Where the batch's own id stands in the answer.
        repeat: What may be done when the answer is lost.
        items: Where the items are read.
    """

    path: str
    wrap: str
    most: int
    id: Pick
    repeat: Repeat
    items: BatchItems


class PriceCase(Struct, frozen=True, kw_only=True):
    """Another price where `field` of the body is `value`."""

    field: Pick
    value: str
    amount: float
    per: str


class Price(Struct, frozen=True, kw_only=True):
    """
    What one piece costs.

    Attributes:
        per: `second` and `minute` (of output), `character` (of the text), `video` or `call` (the piece as a whole).
        step_s: Output is billed in steps of so many seconds, the last one in full.
        guess_s: The length to assume when nothing better is known.
        text: Where in the body the spoken text stands, from which the length is estimated; empty when there is none.
        as_of: When the job's own price was read; empty for one of the catalogue, which is dated as a whole.
        length: Where in the body the address of a file stands that is as long as the work; empty when there is none.
    """

    per: str
    amount: float
    currency: str
    step_s: float = 1
    guess_s: float = 30
    text: str = ""
    length: str = ""
    note: str = ""
    as_of: str = ""
    cases: tuple[PriceCase, ...] = ()

    def of(self, body: Json) -> tuple[float, str]:
        """Amount and `per` for a body: those of the first case that holds, where one does."""
        for case in self.cases:
            found = case.field.find(body)
            if (found is not None or not case.value) and as_text(found) == case.value:
                return case.amount, case.per
        return self.amount, self.per


class Extends(Struct, frozen=True, kw_only=True):
    """
    Where the live description of one field of the body stands: a template's variables.

    Attributes:
        path: What is asked; `{name}` parts are keys of the request, as in the operation's own path.
        entries: Where in the answer they stand: a mapping by name, or a list of items.
        field: The field of the body that holds one entry for each of them.
        name: The name of an item of a list; None for a mapping.
        type: The type of an entry; None when there are no types.
        by: The key of the body's entry that must be that type.
        example: What the template itself shows there; None when it does not.
    """

    path: str
    entries: Pick
    field: str
    name: Pick | None = None
    type: Pick | None = None
    by: str = "type"
    example: Pick | None = None


class Rule(Struct, frozen=True, kw_only=True):
    """
    What a JSON Schema cannot say about a body: how two of its values must be to each other.

    Attributes:
        holds: True of every body that may be sent.
        fields: The fields that it is about, dotted; the complaint is made about the first that comes from the sheet.
        say: What is wrong when it does not hold.
    """

    holds: Pick
    fields: tuple[str, ...]
    say: str


class Setting(Struct, frozen=True, kw_only=True):
    """Something about an operation that a job may change; `$name` in the body's schema stands for its value."""

    default: Json
    description: str = ""


class Operation(Struct, frozen=True, kw_only=True):
    """
    One thing an API can be asked for.

    Attributes:
        path: Where it is sent; `{name}` parts are keys of the request.
        id: Where the id stands in the answer; None for a synchronous operation that has none.
        body: JSON Schema of the body.
        open_body: The same before the settings are filled in.
        rules: What else must hold of a body.
        token_field: Field of the body for our token, dotted; empty when there is none.
        title_field: Field of the body for a title; empty when there is none.
        settle: How its outcome is learned; None for a synchronous operation.
        outcome: How the answer is read as the outcome; None when it takes its time.
        spoken: The texts of a body that somebody or something will say; None where nothing is said.
        state: What is known about how well it works: `not tried live`, `retired`; empty when nothing is to be said.
        shape: Path pattern in the request (`*` is any key or index) to the name of a shape.
        choices: Path pattern in the body to the name of a choice list.
        retired: Its own way of being gone, before that of the provider.
        batch: How many of them go in one request; None where each goes alone.
    """

    name: str
    title: str
    path: str
    id: Pick | None
    repeat: Repeat
    body: Json
    open_body: Json = None
    rules: tuple[Rule, ...] = ()
    token_field: str = ""
    title_field: str = ""
    settle: Settle | None = None
    outcome: ReadAtOnce | None = None
    price: Price | None = None
    spoken: Pick | None = None
    state: str = ""
    extends: Extends | None = None
    retired: Retired | None = None
    batch: Batch | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    shape: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The keys of the request that go into the path."""
        import string

        return tuple(name for _, name, _, _ in string.Formatter().parse(self.path) if name)

    @property
    def reading(self) -> Reading | None:
        """How its outcome is read, whenever that comes."""
        return self.settle or self.outcome

    @property
    def columns(self) -> tuple[str, ...]:
        """The outputs that always get a column, in order."""
        return self.reading.columns if self.reading else ()

    @property
    def id_column(self) -> str:
        """The output that shows the id of the work; empty for work that cannot be looked up, or shows none."""
        return next((name for name in self.columns if name.endswith("_id")), "") if self.settle else ""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Everything that it may give, in the order of the catalogue."""
        return tuple(self.reading.outputs) if self.reading else ()

    @property
    def link_columns(self) -> tuple[str, ...]:
        """The outputs that are links which expire."""
        return self.reading.link_columns if self.reading else ()

    @property
    def link_days(self) -> float | None:
        """How long links live when they do not say so themselves; None when that is not known."""
        return self.reading.link_days if self.reading else None


class OAuth(Struct, frozen=True, kw_only=True):
    """
    How one signs in without a key: OAuth 2.0 with PKCE.

    Attributes:
        authorize, token, revoke: Whole addresses; `revoke` is empty where there is none.
        scope: What is asked for; may be empty.
        header, value: The header that carries the token; `{key}` in the value stands for it.
        client_variable: Environment variable with the id of the registered program.
        note: What a person should know before signing in this way.
    """

    authorize: str
    token: str
    header: str
    value: str
    client_variable: str
    revoke: str = ""
    scope: str = ""
    note: str = ""


_SIMULATED = frozenset({"heygen", "heygen.v2", "useapi"})


class Provider(Struct, frozen=True, kw_only=True):
    """
    Whose API it is.

    Attributes:
        key_variable: Environment variable with the credential.
        key_header, key_value: The header that carries it; `{key}` in the value stands for the credential.
        oauth: How one signs in without a key; None where only keys are known.
        note: What a person should know before choosing it; empty when there is nothing.
        is_own: It comes from a file of the user's, not with batcher: its host must be allowed before it gets a key.
        media_bytes: `picture`, `video`, `sound` to the size up to which such a file is taken.
        shapes: Name of a shape to its cases, tried in order.
        assets: How files are taken; None when they are not.
        digest: Changes with the description, whatever of it.
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
    oauth: OAuth | None = None
    note: str = ""
    is_own: bool = False
    in_flight: int | None = None
    submissions: tuple[Rate, ...] = ()
    account: AccountCall | None = None
    prices_as_of: str = ""
    media_bytes: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, ChoiceList] = field(default_factory=dict)
    shapes: Mapping[str, tuple[Mapping[str, Json], ...]] = field(default_factory=dict)
    assets: Assets | None = None
    digest: str = ""

    @property
    def is_simulated(self) -> bool:
        """Whether the local simulator gives its answers, so that a job for it can be rehearsed."""
        return self.name in _SIMULATED

    def file_kinds(self, case: Mapping[str, Json]) -> tuple[str, ...]:
        """The kinds of local files that a case of a shape takes, itself or in the shapes within it."""
        form = case.get("to")
        names = [each[1:] for each in form.values() if isinstance(each, str)] if isinstance(form, dict) else []
        within = [inner for name in names for inner in self.shapes.get(name, ())]
        return (*case.get("file", ()), *(kind for inner in within for kind in inner.get("file", ())))
