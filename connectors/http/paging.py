"""
Ways a service parts a long list into pages: small classes found by name.

Each looks at an answer and says how to ask for the next page, or that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Protocol

from connectors.sdk import BadInput, at_path, same_host

MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Page:
    """How to ask for a page: the address, and what joins the query or the body."""

    url: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


class Answered(Protocol):
    """What a style needs of an answer."""

    url: str

    def data(self) -> Any: ...
    def link(self, relation: str) -> str | None: ...


class Paging(Protocol):
    """One style; `max_pages` is the ceiling, `at_limit` what becomes of a list that goes on above it."""

    style: ClassVar[str]
    max_pages: int
    at_limit: str

    def first(self, url: str) -> Page:
        """Return how to ask for the first page."""

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Return how to ask for the page after this one, None when it was the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHeader:
    """The `Link` header names the next page (RFC 8288), as GitHub does."""

    style: ClassVar[str] = "link_header"
    relation: str = "next"
    max_pages: int = MOST_PAGES
    at_limit: str = "fail"

    def first(self, url: str) -> Page:
        """Ask plainly."""
        return Page(url)

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Follow the link; it carries the whole query."""
        link = answer.link(self.relation)
        return Page(same_host(answer.url, link)) if link else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextUrl:
    """The body holds the address of the next page at `path`."""

    style: ClassVar[str] = "next_url"
    path: str = "next"
    max_pages: int = MOST_PAGES
    at_limit: str = "fail"

    def first(self, url: str) -> Page:
        """Ask plainly."""
        return Page(url)

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Follow the address; it carries the whole query."""
        link = at_path(answer.data(), self.path)
        return Page(same_host(answer.url, str(link))) if link else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The body holds a cursor at `path`; it is sent back as `param`, in the query or (`send: body`) in the body."""

    style: ClassVar[str] = "cursor"
    path: str
    param: str = "cursor"
    send: Literal["query", "body"] = "query"
    more: str = ""
    max_pages: int = MOST_PAGES
    at_limit: str = "fail"

    def first(self, url: str) -> Page:
        """Ask plainly."""
        return Page(url)

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Send the cursor; where `more` names a flag, a false one ends the list."""
        body = answer.data()
        cursor = at_path(body, self.path)
        if cursor in (None, "", False) or (self.more and not at_path(body, self.more)):
            return None
        sent = {self.param: cursor}
        return Page(page.url, query=sent) if self.send == "query" else Page(page.url, body=sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNumber:
    """Pages are counted; at the end the list at `items` (the body itself when empty) is empty, or shorter than `size`."""

    style: ClassVar[str] = "page"
    param: str = "page"
    start: int = 1
    items: str = ""
    size: int | None = None
    size_param: str = "per_page"
    max_pages: int = MOST_PAGES
    at_limit: str = "fail"

    def first(self, url: str) -> Page:
        """Ask for the first page."""
        return self._page(url, self.start)

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Ask for the next number, unless the list ended."""
        count = _count(answer, self.items)
        if count == 0 or (self.size is not None and count < self.size):
            return None
        return self._page(page.url, int(page.query[self.param]) + 1)

    def _page(self, url: str, number: int) -> Page:
        size = {self.size_param: self.size} if self.size is not None else {}
        return Page(url, query={self.param: number, **size})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """The query says how many to pass over (`param`) and how many to give (`limit`)."""

    style: ClassVar[str] = "offset"
    param: str = "offset"
    limit: int = 100
    limit_param: str = "limit"
    items: str = ""
    total: str = ""
    max_pages: int = MOST_PAGES
    at_limit: str = "fail"

    def first(self, url: str) -> Page:
        """Ask from the start."""
        return Page(url, query={self.param: 0, self.limit_param: self.limit})

    def following(self, page: Page, answer: Answered) -> Page | None:
        """Go on behind what came, until less comes than was asked for, or `total` (a path) is reached."""
        count = _count(answer, self.items)
        reached = int(page.query[self.param]) + count
        total = at_path(answer.data(), self.total) if self.total else None
        if count == 0 or (reached >= total if isinstance(total, int) else count < self.limit):
            return None
        return Page(page.url, query={self.param: reached, self.limit_param: self.limit})


STYLES: dict[str, type[Any]] = {kind.style: kind for kind in (LinkHeader, NextUrl, Cursor, PageNumber, Offset)}


def paging_of(written: Any) -> Paging | None:
    """
    Return the paging that a field describes: a style's name, or an object with `style` and its settings.

    Raises `BadInput` that names the known styles or settings.
    """
    if not written:
        return None
    settings = {"style": written} if isinstance(written, str) else dict(written) if isinstance(written, Mapping) else {}
    style = settings.pop("style", None)
    kind = STYLES.get(str(style))
    if kind is None:
        raise BadInput("paging", f"There is no paging style “{style}”.", hint=_hint(str(style), STYLES))
    known = {one.name: one for one in fields(kind)}
    for name, value in settings.items():
        if name not in known:
            raise BadInput("paging", f"Paging by {style} has no setting “{name}”.", hint=_hint(name, known))
        if known[name].type in ("int", "int | None") and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise BadInput("paging", f"“{name}” of the paging is a whole number.")
    missing = [one.name for one in known.values() if one.default is MISSING and one.name not in settings]
    if missing:
        raise BadInput(
            "paging", f"Paging by {style} needs “{missing[0]}”.", hint="Write the path in the body, such as meta.next_cursor."
        )
    if settings.get("at_limit", "fail") not in ("fail", "stop"):
        raise BadInput("paging", "“at_limit” of the paging is fail or stop.")
    found: Paging = kind(**settings)
    return found


def _count(answer: Answered, path: str) -> int:
    listed = at_path(answer.data(), path)
    if not isinstance(listed, list):
        raise BadInput(
            "paging", f"The answer has no list at “{path or 'the top'}”, so its pages cannot be counted.", hint="Set “items”."
        )
    return len(listed)


def _hint(word: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"Did you mean “{near[0]}”?" if near else f"There is {', '.join(known)}."
