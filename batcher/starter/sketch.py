"""The request that a job file begins with: which parts of it people fill in, and which are the same for every row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from batcher.catalog.model import Operation, Provider
from batcher.catalog.pick import as_text
from batcher.errors import InputError, Problem
from batcher.mapping.tree import matches
from batcher.mapping.types import typed, wanted_types
from batcher.model import Json
from batcher.schema import unknown_key
from batcher.starter.flat import OTHERS, Fixed, constants, dotted, flat_schema
from batcher.starter.words import free_header, header_for

Path = tuple[str | int, ...]


class Entry(Struct, frozen=True, kw_only=True):
    """
    What a template has of its own.

    Attributes:
        type: As the API calls it; empty when it does not say.
        example: What the template itself shows there; empty when that is not known.
    """

    type: str = ""
    example: str = ""


class Ask(Struct, frozen=True, kw_only=True):
    """
    Something that a person fills in.

    Attributes:
        path: Where it stands in the request.
        name: The API's own name.
        header: The column.
        schema: What the catalogue says about it, flattened.
        entry: What the template says about it; None for what is no entry of a template.
        files: The kinds of local files that can stand there by their paths.
    """

    path: Path
    name: str
    header: str
    is_required: bool
    schema: Mapping[str, Any]
    entry: Entry | None = None
    files: tuple[str, ...] = ()


class Sketch(Struct, kw_only=True):
    """
    A request to begin with.

    Attributes:
        request: As it stands in the job; an `Ask` where a cell goes.
        left_out: What else the operation takes, by its names.
        unnamed: The place whose entries had to be made up; empty without one.
    """

    request: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unnamed: str = ""

    def asks(self) -> Iterator[Ask]:
        """What people fill in, in the order of the request."""
        yield from _asks(self.request)


def _asks(node: Any) -> Iterator[Ask]:
    if isinstance(node, Ask):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _asks(each)


def sketch(
    provider: Provider, operation: Operation, *, fixed: Fixed, entries: Mapping[str, Entry], taken: Collection[str]
) -> Sketch:
    """
    Choose what is asked for: what is required, and what the catalogue gives `examples` for.

    Args:
        provider: Whose shapes are used.
        operation: What will be asked for.
        fixed: What is the same for every row.
        entries: What the template has; empty when there is none or when it is not known.
        taken: Headers that cannot be used, in lower case.

    Raises:
        InputError: Something is fixed that the operation does not take.
    """
    artist = _Artist(provider, operation, fixed=fixed, entries=entries, taken=taken)
    made = artist.draw()
    unused = [name for name in fixed if name not in artist.used]
    if unused:
        raise InputError(Problem(where=f"--set {unused[0]}", message=_unknown(operation, unused[0], artist.seen)))
    return made


def _unknown(operation: Operation, place: str, seen: Sequence[str]) -> str:
    parts = [each for each in seen if each.startswith(f"{place}.")]
    if parts:
        return f"'{place}' has parts of its own: set {' or '.join(parts[:5])}"
    above = place.rpartition(".")[0]
    beside = [each for each in seen if above and each.startswith(f"{above}.")]
    known = dict.fromkeys(beside or [*operation.path_fields, *operation.body.get("properties", {}), *seen])
    said = unknown_key(place, known).replace("unknown key", f"{operation.name} takes no", 1)
    return said.replace("known keys are", "it takes", 1)


class _Artist:
    """Goes through the schema once; see `sketch`."""

    def __init__(
        self,
        provider: Provider,
        operation: Operation,
        *,
        fixed: Fixed,
        entries: Mapping[str, Entry],
        taken: Collection[str],
    ) -> None:
        self._provider = provider
        self._operation = operation
        self._fixed = fixed
        self._entries = entries
        self._taken = set(taken)
        self._made = Sketch()
        self.used: set[str] = set()
        self.seen: list[str] = []

    def draw(self) -> Sketch:
        operation = self._operation
        for name in operation.path_fields:
            self._made.request[name] = self._value((name,), {"type": "string"}, is_required=True)
        self._made.request |= self._group(flat_schema(operation.body, operation.body, (), self._fixed), ())
        return self._made

    def _group(self, flat: Mapping[str, Any], path: Path) -> dict[str, Any]:
        drawn: dict[str, Any] = {}
        for name, schema in flat.get("properties", {}).items():
            at = (*path, name)
            self.seen.append(dotted(at))
            if self._is_ours(at) and dotted(at) not in self._fixed:
                continue
            is_required = name in flat.get("required", ())
            is_other = name in flat.get(OTHERS, ()) and dotted(at) not in self._fixed
            node = None if is_other else self._node(schema, at, is_required=is_required)
            if node is not None:
                drawn[name] = node
            elif not path and not name.startswith("callback"):
                self._made.left_out.append(name)
        return drawn

    def _is_ours(self, at: Path) -> bool:
        """Whether batcher fills it in: its token and its key."""
        return dotted(at) in (self._operation.token_field, self._operation.repeat.key_field)

    def _node(self, schema: Json, at: Path, *, is_required: bool) -> Any:
        place = dotted(at)
        inner = any(each.startswith(f"{place}.") for each in self._fixed)
        if not (is_required or inner or place in self._fixed or "examples" in schema):
            return None
        flat = flat_schema(self._operation.body, schema, at, self._fixed)
        if place not in self._fixed and "const" in flat:
            return flat["const"] if is_required else None
        cases = self._cases(at)
        if any("plain" in case for case in cases):
            return self._value(at, {**flat, "type": "string"}, is_required=is_required)
        if any("each" in case for case in cases):
            return self._map(flat, at)
        if "properties" in flat:
            return self._group(flat, at)
        if isinstance(flat.get("additionalProperties"), Mapping):
            return self._map(flat, at)
        if flat.get("type") == "array":
            return self._items(flat, at)
        return self._value(at, flat, is_required=is_required)

    def _items(self, flat: Mapping[str, Any], at: Path) -> list[Any]:
        """A list of one member, which more can be put behind in the job file."""
        place = dotted(at)
        if place not in self._fixed:
            return [self._node(flat.get("items", {}), (*at, 0), is_required=True)]
        self.used.add(place)
        items = flat_schema(self._operation.body, flat.get("items", {}), (*at, 0), self._fixed)
        return [_fixed_value(self._fixed[place], items, place)]

    def _cases(self, at: Path) -> Sequence[Mapping[str, Json]]:
        patterns = self._operation.shape.items()
        return next((self._provider.shapes[name] for pattern, name in patterns if matches(pattern, at)), ())

    def _value(self, at: Path, flat: Mapping[str, Any], *, is_required: bool) -> Any:
        """What is fixed, or a cell."""
        place = dotted(at)
        if place in self._fixed:
            self.used.add(place)
            return _fixed_value(self._fixed[place], flat, place)
        *above, name = [part for part in at if isinstance(part, str)]
        is_picked = any(matches(pattern, at) for pattern in self._operation.choices)
        header = str(flat.get("title") or header_for(name, is_picked=is_picked))
        header = self._free(header, above=header_for(above[-1]) if above else "")
        files = tuple(kind for case in self._cases(at) if "key" not in case for kind in self._provider.file_kinds(case))
        return Ask(path=at, name=name, header=header, is_required=is_required, schema=flat, files=files)

    def _free(self, header: str, *, above: str = "") -> str:
        free = free_header(header, self._taken, above=above)
        self._taken.add(free.casefold())
        return free

    def _map(self, flat: Mapping[str, Any], at: Path) -> dict[str, Any]:
        """An entry for each variable of a template."""
        entries = self._entries
        if not entries:
            entries = {"text": Entry()}
            self._made.unnamed = dotted(at)
        usual = flat.get("additionalProperties") or flat.get("items") or {}
        self.seen += [dotted((*at, name)) for name in entries]
        return {name: self._entry(usual, (*at, name), entry) for name, entry in entries.items()}

    def _entry(self, usual: Json, at: Path, entry: Entry) -> Any:
        """A plain cell for a text, `{image: …}` for what the shape knows by that key; only texts are required."""
        extends = self._operation.extends
        by = extends.by if extends else "type"
        leaf = self._leaf(usual, at, {**self._fixed, dotted((*at, by)): entry.type} if entry.type else self._fixed)
        name = str(at[-1])
        cases = self._cases(at)
        fits = [case for case in cases if not entry.type or case.get("to", {}).get(by) == entry.type]
        is_plain = not fits or "plain" in fits[0] or "each" in fits[0]
        path = at if is_plain else (*at, str(fits[0]["key"]))
        if dotted(at) in self._fixed:
            self.used.add(dotted(at))
            return self._fixed[dotted(at)] if is_plain else {path[-1]: self._fixed[dotted(at)]}
        header = self._free(header_for(name))
        files = self._provider.file_kinds(fits[0]) if fits else ()
        ask = Ask(path=path, name=name, header=header, is_required=is_plain, schema=leaf, entry=entry, files=files)
        return ask if is_plain else {path[-1]: ask}

    def _leaf(self, usual: Json, at: Path, decided: Fixed) -> Mapping[str, Any]:
        """The schema of an entry's own value; an empty one for a type that the catalogue does not know."""
        root = self._operation.body
        try:
            return _first_leaf(root, flat_schema(root, usual, at, decided), at, decided)
        except InputError:
            return {}


def _first_leaf(root: Mapping[str, Any], flat: Mapping[str, Any], at: Path, fixed: Fixed) -> Mapping[str, Any]:
    """The schema of the value itself inside an entry such as `{type: text, content: …}`."""
    for name in flat.get("required", ()):
        if name == "name" or name in constants(flat):
            continue
        inner = flat_schema(root, flat.get("properties", {}).get(name, {}), (*at, name), fixed)
        return _first_leaf(root, inner, (*at, name), fixed) if "properties" in inner else inner
    return {key: value for key, value in flat.items() if key not in ("properties", "required")}


def _fixed_value(text: str, flat: Mapping[str, Any], place: str) -> Json:
    words = {as_text(each).casefold(): each for each in flat.get("enum", ())}
    try:
        if words and text.casefold() not in words:
            raise ValueError(f"'{text}' is none of {', '.join(map(as_text, flat['enum']))}")
        return words.get(text.casefold()) if words else typed(text, wanted_types([flat]))
    except ValueError as error:
        raise InputError(Problem(where=f"--set {place}", message=str(error))) from error
