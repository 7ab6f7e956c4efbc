"""The sections of a provider file that say how answers are read: lists, pages, outcomes, searches."""

from __future__ import annotations

from typing import Any

from batcher.catalog.model import Batch, Find, ReadAtOnce, Repeat, Settle
from batcher.catalog.place import At
from batcher.catalog.source import BatchItems, BulkSource, ChoiceList, FollowUp, ListSource, Pages, Paging, SingleSource

USUAL_S = 60
OVERDUE_H = 24


def pages(at: At, *path: str | int, most: int | None = None) -> Pages | None:
    """How a list is read page by page; None when nothing is said there."""
    place = at.inner(*path)
    if place is None:
        return None
    value = place.value
    kind = next(kind for kind in Paging if kind.value in value)
    return Pages(
        kind=kind,
        place=value[kind.value],
        most=most or value["most"],
        size=value.get("size", ""),
        next=place.maybe("next"),
        more=place.maybe("more"),
        total=place.maybe("total"),
        last=place.maybe("last"),
        first=value.get("first", 1),
    )


def choice_list(at: At, usual: Pages | None) -> ChoiceList:
    """A list of valid values; it is one page unless it says that it has several."""
    value = at.value
    own = pages(at, "pages")
    if own is None and usual is not None and value.get("paged"):
        own = _sized(usual, value.get("most"))
    codes = value.get("codes", {})
    return ChoiceList(
        path=value["path"],
        items=at.pick("items"),
        id=at.maybe("id"),
        name=at.maybe("name"),
        pages=own,
        also=tuple(value.get("also", ())),
        codes={code.casefold(): (name,) if isinstance(name, str) else tuple(name) for code, name in codes.items()},
    )


def _sized(usual: Pages, most: int | None) -> Pages:
    from msgspec.structs import replace

    return replace(usual, most=most) if most else usual


def list_source(at: At, usual: Pages | None) -> ListSource:
    """A list of work; it has the provider's pages unless it says otherwise."""
    value = at.value
    return ListSource(
        path=value["path"],
        items=at.pick("items"),
        id=at.pick("id"),
        pages=pages(at, "pages") or (usual if value.get("paged", True) else None),
        ready=at.maybe("ready"),
        created=at.maybe("created"),
    )


def settle(root: At, operation: At) -> Settle | None:
    """How the operation's outcome is learned; None for a synchronous one."""
    name = operation.get("settle")
    if name is None:
        return None
    at, value = root.at("settle", name), operation.value
    source, bulk = at.inner("list"), at.inner("bulk")
    return Settle(
        **_reading(at),
        missing=at.maybe("missing"),
        completed_at=at.maybe("completed_at"),
        usual_s=value.get("usual_s", at.get("usual_s") or USUAL_S),
        overdue_h=value.get("overdue_h", at.get("overdue_h") or OVERDUE_H),
        get=_single(at.at("get")),
        list=list_source(source, pages(root, "pages")) if source else None,
        bulk=_bulk(bulk) if bulk else None,
    )


def outcome(at: At) -> ReadAtOnce:
    """How the answer of a synchronous operation is read."""
    return ReadAtOnce(**_reading(at), item=at.pick("item"))


def _reading(at: At) -> dict[str, Any]:
    value = at.value
    links = value.get("links", {})
    columns = tuple(value.get("columns", value["outputs"]))
    for index, column in enumerate(links.get("columns", ())):
        at.must_lead_to("links", "columns", index, known=value["outputs"])
        if not column.endswith("_url"):
            raise at.wrong(f"'{column}' must end with _url, so that it becomes a link", "links", "columns", index)
    return {
        "done": at.pick("done"),
        "failed": at.maybe("failed"),
        "word": at.maybe("word"),
        "error_code": at.maybe("error_code"),
        "error": at.maybe("error"),
        "stops": frozenset(value.get("stops", ())),
        "outputs": {column: at.pick("outputs", column) for column in value["outputs"]},
        "columns": columns,
        "link_columns": tuple(links.get("columns", ())),
        "link_days": links.get("days"),
    }


def _single(at: At) -> SingleSource:
    then = at.inner("then")
    follow_up = None
    if then:
        follow_up = FollowUp(
            when=then.pick("when"),
            id=then.pick("id"),
            path=then.get("path"),
            item=then.pick("item"),
            into=then.get("into"),
        )
    return SingleSource(path=at.get("path"), item=at.pick("item"), then=follow_up)


def _bulk(at: At) -> BulkSource:
    value = at.value
    return BulkSource(
        path=value["path"],
        ids=value["ids"],
        most=value["most"],
        items=at.pick("items"),
        id=at.pick("id"),
        ready=at.maybe("ready"),
    )


def repeat(at: At, usual: Pages | None) -> Repeat:
    """What may be done when an answer is lost."""
    value = at.value
    key, find = value.get("key", {}), value.get("find")
    searched = at.inner("find", "list")
    return Repeat(
        key_header=key.get("header", ""),
        key_field=key.get("field", ""),
        key_hours=key.get("hours", 0),
        find=Find(
            field=at.pick("find", "field"),
            query=find.get("query", {}),
            in_title=find.get("in", "title" if find.get("query") else "token") == "title",
            list=list_source(searched, usual) if searched else None,
        )
        if find
        else None,
        free=value.get("free", False),
    )


def batch(at: At, own: Repeat, usual: Pages | None) -> Batch:
    """How many go in one request; a batch is repeated as a single one is, unless it says otherwise."""
    value, items = at.value, at.at("items")
    return Batch(
        path=value["path"],
        wrap=value["wrap"],
        most=value["most"],
        id=at.pick("id"),
        repeat=repeat(at.at("repeat"), usual) if "repeat" in value else own,
        items=BatchItems(
            path=items.get("path"),
            items=items.pick("items"),
            index=items.pick("index"),
            id=items.pick("id"),
            total=items.maybe("total"),
        ),
    )
