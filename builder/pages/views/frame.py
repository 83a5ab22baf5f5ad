"""What stands around every page: head, navigation, foot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from builder.pages.site import Site

SECTIONS = (
    ("/", "Now"),
    ("/history/", "History"),
    ("/accuracy/", "Accuracy"),
    ("/method/", "Method"),
    ("/api/", "API"),
    ("/status/", "Status"),
)


class Link(NamedTuple):
    """A place in the navigation."""

    path: str
    name: str
    is_current: bool


class Frame(NamedTuple):
    """Head, navigation and foot of a page.

    `address` is the page's own, in full, where a public address is known; `picture`, what others
    show of a link, is in full there too. `test_network` names a chain whose bitcoins are worth
    nothing. An update that is later than `grace_seconds` is overdue. `made_unix` is when the page's
    facts were put together.
    """

    title: str
    description: str
    address: str | None
    picture: str
    picture_words: str
    assets: Mapping[str, str]
    origin: str
    navigation: Sequence[Link]
    is_demo: bool
    test_network: str | None
    grace_seconds: int
    made_unix: int


class SharedPicture(NamedTuple):
    """What others show of a link: where it is, and what is to be seen."""

    path: str
    words: str


NOW = SharedPicture(
    "/share/now.png", "The newest on-chain price, and that of six days before as a line"
)


class View(Protocol):
    """What a template gets."""

    @property
    def frame(self) -> Frame:
        """What stands around the page."""


def frame_of(
    site: Site,
    *,
    title: str,
    description: str,
    section: str,
    path: str | None = None,
    picture: SharedPicture = NOW,
    made_unix: int | None = None,
) -> Frame:
    """Return what stands around a page.

    Args:
        site: what pages are made from.
        title: of the page, as a browser's tab shows it.
        description: one sentence for search results.
        section: the place in the navigation that the page belongs to.
        path: the page's own path, where it is not the section's.
        picture: what others show of a link to it.
        made_unix: when its facts were put together, where that is not the time of the build.
    """
    return Frame(
        title=title,
        description=description,
        address=f"{site.base}{path or section}" if site.base else None,
        picture=f"{site.base}{picture.path}",
        picture_words=picture.words,
        assets=site.assets,
        origin=site.origin,
        navigation=[Link(place, name, place == section) for place, name in SECTIONS],
        is_demo=site.latest["is_demo"],
        test_network=site.test_network,
        grace_seconds=site.objects.status["interval_seconds"],
        made_unix=site.now_unix if made_unix is None else made_unix,
    )
