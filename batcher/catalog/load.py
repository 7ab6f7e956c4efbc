"""The catalogue's YAML files into providers, each checked when it is loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from batcher.catalog.assets import assets
from batcher.catalog.body import empty_words
from batcher.catalog.copy import read_built_in
from batcher.catalog.model import (
    ErrorRule,
    ErrorTable,
    Extends,
    Kind,
    OAuth,
    Operation,
    Price,
    PriceCase,
    Provider,
    Retired,
    Rule,
    Setting,
)
from batcher.catalog.place import At
from batcher.catalog.reading import batch, choice_list, outcome, pages, repeat, settle
from batcher.catalog.settings import filled_in
from batcher.catalog.source import AccountCall
from batcher.catalog.strict import faults, taken
from batcher.document import Document, read_document
from batcher.errors import InputError
from batcher.schema import Checker, misfit_of, unknown_key
from batcher.units import parse_rates

FOLDER = Path(__file__).parent
_NAME = re.compile(r"^provider: *(\S+)", re.MULTILINE)


@cache
def catalog_schema() -> dict[str, Any]:
    """The JSON Schema of a provider file."""
    schema: dict[str, Any] = json.loads((FOLDER / "catalog.schema.json").read_text(encoding="utf-8"))
    return schema


def load_provider(path: Path, *, is_own: bool = False) -> Provider:
    """
    Read one provider file.

    Args:
        path: The file.
        is_own: It is the user's, and did not come with batcher.

    Raises:
        InputError: It does not fit the schema, an expression is not JMESPath, a name in it leads nowhere, or, in one of
            the user's, belongs to a provider that comes with batcher.
    """
    document = read_document(path, catalog_schema())
    root = At(document)
    known = {each.name: each for each in built_in_providers()} if is_own else {}
    if names := list(taken(root, known)):
        raise InputError(*names)
    provider = provider_from(document, is_own=is_own)
    for each in provider.operations.values():
        _check_body(root, each)
    if problems := list(dict.fromkeys(faults(root, provider))):
        raise InputError(*problems)
    return provider


@cache
def built_in_providers() -> tuple[Provider, ...]:
    """The providers that come with batcher."""
    return tuple(_built_in(path) for path in sorted(FOLDER.glob("*.yaml")))


@cache
def _built_in(path: Path) -> Provider:
    """One of them; that its description holds is seen by the tests, not at every start."""
    return provider_from(read_built_in(path, catalog_schema()))


def provider_of(operation: str) -> Provider | None:
    """The built-in provider that has the operation; None when there is none. Files of other providers are not parsed."""
    for path in sorted(FOLDER.glob("*.yaml")):
        name = _NAME.search(path.read_text(encoding="utf-8"))
        if name and operation.startswith(f"{name[1]}.") and operation in _built_in(path).operations:
            return _built_in(path)
    return None


def provider_from(document: Document, *, is_own: bool = False) -> Provider:
    """
    The provider that a document describes.

    Raises:
        InputError: It cannot be read as one; `load_provider` looks closer.
    """
    root = At(document)
    value = document.value
    sign_in = value["sign_in"]
    return Provider(
        name=value["provider"],
        title=value["title"],
        note=value.get("note", ""),
        is_own=is_own,
        base_url=value["base_url"].rstrip("/"),
        base_url_variable=value.get("base_url_variable", ""),
        key_variable=sign_in["variable"],
        key_header=sign_in["header"],
        key_value=sign_in["value"],
        oauth=OAuth(**sign_in["oauth"]) if "oauth" in sign_in else None,
        errors=_errors(root),
        operations={name: _operation(root, name) for name in value["operations"]},
        in_flight=value.get("limits", {}).get("in_flight"),
        submissions=root.parsed("limits", "submissions", parse=parse_rates) or (),
        account=_account(root.inner("account")),
        prices_as_of=value.get("prices_as_of", ""),
        media_bytes={kind: megabytes * 1e6 for kind, megabytes in value.get("media", {}).items()},
        choices={
            name: choice_list(root.at("choices", name), pages(root, "pages")) for name in value.get("choices", {})
        },
        shapes={name: _shape(root, name) for name in value.get("shapes", {})},
        assets=assets(root.inner("assets")),
        digest=hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
    )


def _shape(root: At, name: str) -> tuple[Mapping[str, Any], ...]:
    """The cases of a shape, with every `$NAME` in their forms leading to another one."""
    at = root.at("shapes", name)
    known = tuple(root.get("shapes"))

    taken = root.get("assets", "types") or ()

    def check(form: Any, index: int, part: str, allowed: Collection[str]) -> None:
        for each in form.values() if isinstance(form, dict) else ():
            check(each, index, part, allowed)
        if isinstance(form, str) and form.startswith("$") and form not in ("$", "$key") and form[1:] not in allowed:
            raise at.wrong(unknown_key(form[1:], allowed).replace("unknown key", "unknown shape", 1), index, part)

    for index, case in enumerate(at.value):
        # what becomes of a text is only known when its row is: a shape within it could not be chosen beforehand
        check(case.get("to"), index, "to", ("url",) if "file" in case else () if "plain" in case else known)
        check(case.get("each"), index, "each", known)
        for place, kind in enumerate(case.get("file", ())):
            if kind not in taken:
                raise at.wrong(f"assets.types does not take {kind}", index, "file", place)
        if "rest" in case and case["rest"] not in case["to"]:
            raise at.wrong(f"'{case['rest']}' is no part of to", index, "rest")
        try:
            re.compile(case.get("plain", ""))
        except re.error as error:
            raise at.wrong(f"'{case['plain']}' is no regular expression: {error}", index, "plain") from error
    return tuple(at.value)


def _errors(root: At) -> ErrorTable:
    at = root.at("errors")
    rules: dict[str, ErrorRule] = {}
    texts: list[tuple[str, ErrorRule]] = []
    for index, kind in enumerate(at.get("kinds") or []):
        rule = ErrorRule(
            kind=Kind(kind["kind"]),
            advice=kind.get("advice", ""),
            slots_only=at.maybe("kinds", index, "slots_only"),
            name=kind.get("name", ""),
        )
        rules.update(dict.fromkeys(kind.get("codes", ()), rule))
        if "texts" in kind:
            texts += [(text.casefold(), rule) for text in kind["texts"]]
            rules[rule.name] = rule
    return ErrorTable(
        rules=rules,
        texts=tuple(texts),
        code=at.maybe("code"),
        message=at.maybe("message"),
        param=at.maybe("param"),
        wrong=at.maybe("wrong"),
        retired=_retired(root.get("retired")),
        about={code: tuple(each["fields"]) for each in at.get("about") or () for code in each["codes"]},
    )


def _retired(value: Mapping[str, Any] | None) -> Retired | None:
    return Retired(statuses=frozenset(value["statuses"]), say=value["say"]) if value else None


def _account(at: At | None) -> AccountCall | None:
    if at is None:
        return None
    return AccountCall(
        path=at.get("path"),
        name=at.maybe("name"),
        plan=at.maybe("plan"),
        balance=at.maybe("balance"),
        unit=at.maybe("unit"),
    )


def _operation(root: At, name: str) -> Operation:
    at = root.at("operations", name)
    value = at.value
    provider = root.get("provider")
    if not name.startswith(f"{provider}."):
        raise at.wrong(f"must begin with the provider's name: {provider}.{name.rsplit('.', 1)[-1]}")
    at.must_lead_to("settle", known=root.get("settle") or {})
    for kind, known in (("shape", root.get("shapes") or {}), ("choices", root.get("choices") or {})):
        for pattern in value.get(kind, {}):
            at.must_lead_to(kind, pattern, known=known)
    settings = {each: Setting(**found) for each, found in value.get("settings", {}).items()}
    definitions = root.get("definitions") or {}
    open_body = {**value["body"], "$defs": {each: definitions[each] for each in _used(at, value["body"], definitions)}}
    body = filled_in(open_body, {each: setting.default for each, setting in settings.items()})
    result, together = at.inner("outcome"), at.inner("batch")
    usual = pages(root, "pages")
    once = repeat(at.at("repeat"), usual)
    return Operation(
        name=name,
        title=value["title"],
        path=value["submit"]["path"],
        id=at.maybe("submit", "id"),
        repeat=once,
        body=body,
        open_body=open_body,
        rules=tuple(_rule(at.at("rules", index)) for index in range(len(value.get("rules", ())))),
        token_field=value.get("token", ""),
        title_field=value.get("title_field", ""),
        settle=settle(root, at),
        outcome=outcome(result) if result else None,
        price=_price(at.inner("price")),
        spoken=at.maybe("spoken") or at.maybe("price", "text"),
        state=value.get("state", ""),
        extends=_extends(at.inner("extends")),
        retired=_retired(value.get("retired")),
        batch=batch(together, once, usual) if together else None,
        settings=settings,
        shape=value.get("shape", {}),
        choices=value.get("choices", {}),
    )


def _used(at: At, body: Any, definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that a body refers to, and those that these refer to."""
    found: dict[str, None] = {}

    def visit(value: Any) -> None:
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            visit(each)
        reference = value.get("$ref") if isinstance(value, dict) else None
        name = reference.rsplit("/", 1)[-1] if isinstance(reference, str) else ""
        if name and name not in definitions:
            said = unknown_key(name, definitions).replace("unknown key", "unknown definition", 1)
            raise at.wrong(said, "body")
        if name and name not in found:
            found[name] = None
            visit(definitions[name])

    visit(body)
    return list(found)


def _check_body(root: At, operation: Operation) -> None:
    """A body that is no JSON Schema is told at its place."""
    at = root.at("operations", operation.name)
    try:
        Checker(operation.body)
    except ValueError as error:
        if fault := misfit_of(operation.body) or next(empty_words(operation.open_body, operation.settings), None):
            inside = fault.path[:1] == ("$defs",)
            place = root.at("definitions", *fault.path[1:]) if inside else at.at("body", *fault.path)
            raise place.wrong(fault.message) from error
        reason = str(error).splitlines()[0]
        raise at.wrong(f"is not a JSON Schema: {reason}", "body") from error
    if "settle" in at.value and "id" not in at.value["submit"]:
        raise at.wrong("'id' is missing: without it the outcome cannot be asked for", "submit")


def _rule(at: At) -> Rule:
    return Rule(holds=at.pick("holds"), fields=tuple(at.get("fields")), say=at.get("say"))


def _extends(at: At | None) -> Extends | None:
    if at is None:
        return None
    return Extends(
        path=at.get("path"),
        entries=at.pick("entries"),
        field=at.get("field"),
        name=at.maybe("name"),
        type=at.maybe("type"),
        by=at.get("by") or "type",
        example=at.maybe("example"),
    )


def _price(at: At | None) -> Price | None:
    if at is None:
        return None
    value = at.value
    at.maybe("text")
    at.maybe("length")
    cases = tuple(
        PriceCase(
            field=at.pick("when", index, "field"),
            value=case["is"],
            amount=case["amount"],
            per=case.get("per", value["per"]),
        )
        for index, case in enumerate(value.get("when", ()))
    )
    known = ("per", "amount", "currency", "step_s", "guess_s", "text", "length", "note")
    return Price(**{name: value[name] for name in known if name in value}, cases=cases)
