"""The catalogue's YAML files into providers, each checked when it is loaded."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from batcher.catalog.model import (
    AccountCall,
    BulkSource,
    ChoiceList,
    ErrorRule,
    ErrorTable,
    Find,
    Kind,
    ListSource,
    Operation,
    Pages,
    Price,
    PriceCase,
    Provider,
    Repeat,
    Settle,
    SingleSource,
)
from batcher.catalog.pick import Pick
from batcher.document import Document, read_document
from batcher.errors import InputError
from batcher.schema import unknown_key
from batcher.units import parse_rates

FOLDER = Path(__file__).parent


@cache
def catalog_schema() -> dict[str, Any]:
    """The JSON Schema of a provider file."""
    schema: dict[str, Any] = json.loads((FOLDER / "catalog.schema.json").read_text(encoding="utf-8"))
    return schema


@cache
def load_provider(path: Path) -> Provider:
    """
    Read one provider file.

    Raises:
        InputError: It does not fit the schema, an expression is not JMESPath, or a name in it leads nowhere.
    """
    return _Builder(read_document(path, catalog_schema())).provider()


@cache
def built_in_providers() -> tuple[Provider, ...]:
    """The providers that come with batcher."""
    return tuple(load_provider(path) for path in sorted(FOLDER.glob("*.yaml")))


def provider_of(operation: str) -> Provider | None:
    """The built-in provider that has the operation; None when there is none."""
    return next((p for p in built_in_providers() if operation in p.operations), None)


class _Builder:
    """Turns one document into a provider; a wrong expression is told at its place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._value = document.value

    def provider(self) -> Provider:
        value = self._value
        sign_in, limits = value["sign_in"], value.get("limits", {})
        return Provider(
            name=value["provider"],
            title=value["title"],
            base_url=value["base_url"].rstrip("/"),
            base_url_variable=value.get("base_url_variable", ""),
            key_variable=sign_in["variable"],
            key_header=sign_in["header"],
            key_value=sign_in["value"],
            errors=self._errors(),
            operations={name: self._operation(name) for name in value["operations"]},
            in_flight=limits.get("in_flight"),
            submissions=parse_rates(limits["submissions"]) if "submissions" in limits else (),
            account=self._account(),
            prices_as_of=value.get("prices_as_of", ""),
            choices={name: self._choice(name) for name in value.get("choices", {})},
            shapes={name: tuple(cases) for name, cases in value.get("shapes", {}).items()},
        )

    def _at(self, path: tuple[str | int, ...]) -> Any:
        value = self._value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                return None
        return value

    def _pick(self, *path: str | int) -> Pick:
        try:
            return Pick(self._at(path))
        except ValueError as error:
            raise InputError(self._document.problem(path, str(error))) from error

    def _maybe(self, *path: str | int) -> Pick | None:
        return self._pick(*path) if self._at(path) is not None else None

    def _errors(self) -> ErrorTable:
        rules = {}
        for index, kind in enumerate(self._at(("errors", "kinds")) or []):
            rule = ErrorRule(
                kind=Kind(kind["kind"]),
                advice=kind.get("advice", ""),
                slots_only=self._maybe("errors", "kinds", index, "slots_only"),
            )
            rules.update(dict.fromkeys(kind["codes"], rule))
        return ErrorTable(
            rules=rules,
            code=self._maybe("errors", "code"),
            message=self._maybe("errors", "message"),
            param=self._maybe("errors", "param"),
            wrong=self._maybe("errors", "wrong"),
        )

    def _pages(self, most: int | None = None) -> Pages | None:
        pages = self._value.get("pages")
        if pages is None:
            return None
        return Pages(
            size=pages["size"],
            most=most or pages["most"],
            token=pages["token"],
            next=self._pick("pages", "next"),
            more=self._maybe("pages", "more"),
        )

    def _account(self) -> AccountCall | None:
        account = self._value.get("account")
        if account is None:
            return None
        return AccountCall(
            path=account["path"],
            name=self._maybe("account", "name"),
            balance=self._maybe("account", "balance"),
            unit=self._maybe("account", "unit"),
        )

    def _choice(self, name: str) -> ChoiceList:
        choice = self._value["choices"][name]
        return ChoiceList(
            path=choice["path"],
            items=self._pick("choices", name, "items"),
            id=self._maybe("choices", name, "id"),
            name=self._maybe("choices", name, "name"),
            pages=self._pages(choice.get("most")) if choice.get("paged") else None,
        )

    def _settle(self, name: str) -> Settle:
        at = ("settle", name)
        value = self._at(at)
        links = value.get("links", {})
        bulk, list_ = value.get("bulk"), value.get("list")
        return Settle(
            word=self._pick(*at, "word"),
            done=self._pick(*at, "done"),
            failed=self._pick(*at, "failed"),
            missing=self._maybe(*at, "missing"),
            error_code=self._maybe(*at, "error_code"),
            error=self._maybe(*at, "error"),
            stops=frozenset(value.get("stops", ())),
            outputs={column: self._pick(*at, "outputs", column) for column in value["outputs"]},
            columns=tuple(value.get("columns", value["outputs"])),
            completed_at=self._maybe(*at, "completed_at"),
            link_columns=tuple(links.get("columns", ())),
            link_days=links.get("days"),
            usual_s=value.get("usual_s", 60),
            overdue_h=value.get("overdue_h", 24),
            get=SingleSource(path=value["get"]["path"], item=self._pick(*at, "get", "item")),
            list=ListSource(
                path=list_["path"],
                items=self._pick(*at, "list", "items"),
                id=self._pick(*at, "list", "id"),
                pages=self._pages(),
            )
            if list_
            else None,
            bulk=BulkSource(
                path=bulk["path"],
                ids=bulk["ids"],
                most=bulk["most"],
                items=self._pick(*at, "bulk", "items"),
                id=self._pick(*at, "bulk", "id"),
                ready=self._maybe(*at, "bulk", "ready"),
            )
            if bulk
            else None,
        )

    def _operation(self, name: str) -> Operation:
        at = ("operations", name)
        value = self._at(at)
        self._check_name(at, "settle", self._value.get("settle", {}))
        for pattern in value.get("shape", {}):
            self._check_name((*at, "shape"), pattern, self._value.get("shapes", {}))
        for pattern in value.get("choices", {}):
            self._check_name((*at, "choices"), pattern, self._value.get("choices", {}))
        body = dict(value["body"])
        body["$defs"] = self._value.get("definitions", {})
        return Operation(
            name=name,
            title=value["title"],
            path=value["submit"]["path"],
            id=self._pick(*at, "submit", "id"),
            repeat=self._repeat(at),
            body=body,
            token_field=value.get("token", ""),
            title_field=value.get("title_field", ""),
            settle=self._settle(value["settle"]) if "settle" in value else None,
            price=self._price(at),
            shape=value.get("shape", {}),
            choices=value.get("choices", {}),
        )

    def _check_name(self, at: tuple[str, ...], key: str, known: dict[str, Any]) -> None:
        name = self._at((*at, key))
        if name is not None and name not in known:
            raise InputError(self._document.problem((*at, key), unknown_key(name, known)))

    def _repeat(self, at: tuple[str, ...]) -> Repeat:
        value = self._at((*at, "repeat"))
        key, find = value.get("key", {}), value.get("find")
        return Repeat(
            key_header=key.get("header", ""),
            key_hours=key.get("hours", 0),
            find=Find(field=self._pick(*at, "repeat", "find", "field"), query=find.get("query", {})) if find else None,
            free=value.get("free", False),
        )

    def _price(self, at: tuple[str, ...]) -> Price | None:
        value = self._at((*at, "price"))
        if value is None:
            return None
        cases = tuple(
            PriceCase(
                field=self._pick(*at, "price", "when", index, "field"),
                value=case["is"],
                amount=case["amount"],
                per=case.get("per", value["per"]),
            )
            for index, case in enumerate(value.get("when", ()))
        )
        return Price(
            per=value["per"],
            amount=value["amount"],
            currency=value["currency"],
            guess_s=value.get("guess_s", 30),
            text=value.get("text", ""),
            note=value.get("note", ""),
            cases=cases,
        )
