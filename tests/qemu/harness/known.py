"""The differences from makedumpfile's set of pages that are known to be right; filters/README.md has the reasons.

Each is judged by the page's struct page as libkdumpfile reads it. What fits none of them is unexplained and fails its cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.struct_pages import Page

USER = 8
OLD_SLAB_BIT = 7


@dataclass(frozen=True)
class Difference:
    """One page that one of the two leaves out."""

    pfn: int
    level: int
    ours: bool  # dumpwright saves it, and makedumpfile does not


@dataclass(frozen=True)
class Known:
    """A known difference."""

    name: str
    fits: Callable[[Difference, Page, Page], bool]  # difference, struct page, struct page of its head


def _unnoticed_tail(difference: Difference, page: Page, head: Page) -> bool:
    """Where only compound_info is exported, makedumpfile 1.7.8 knows no tail pages, and takes what a tail has in the
    place of page.mapping for a user page's. Ours is right if the head is no user page."""
    user = head.is_anonymous and not head.has_type(head.layout.slab) or head.has_type(head.layout.hugetlb)
    return difference.ours and bool(difference.level & USER) and page.layout.masked and page.is_tail and not user


def _poisoned_tail(difference: Difference, page: Page, head: Page) -> bool:
    """memory_failure() marks the page that is bad; makedumpfile looks at the head only."""
    return not difference.ours and page.is_tail and page.is_hwpoison


def _offline_at_low_level(difference: Difference, page: Page, head: Page) -> bool:
    """makedumpfile looks at no struct page at the levels 0 and 1, unless the kernel exports PG_hwpoison."""
    layout = page.layout
    return (not difference.ours and difference.level <= 1 and layout.hwpoison is None
            and head.has_type(layout.offline) and not page.is_tail)


def _waited_for(difference: Difference, page: Page, head: Page) -> bool:
    """PG_slab has left the flags: makedumpfile takes its old bit, PG_waiters now, for it."""
    layout = page.layout
    return (not difference.ours and bool(difference.level & USER) and layout.slab is not None
            and head.has_flag(OLD_SLAB_BIT) and head.is_anonymous and not head.has_type(layout.slab))


KNOWN: tuple[Known, ...] = (
    Known("tail pages of no user page, compound_info", _unnoticed_tail),
    Known("hwpoisoned tail page", _poisoned_tail),
    Known("user page with PG_waiters", _waited_for),
    Known("offline page at level 0 or 1", _offline_at_low_level),
)


def explain(difference: Difference, page: Page, head: Page) -> str | None:
    return next((known.name for known in KNOWN if known.fits(difference, page, head)), None)
