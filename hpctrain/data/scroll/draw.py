"""Which window each sample of an epoch is: a function of (seed, epoch, number) alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.scroll_data import Scroll
from hpctrain.data.scroll.places import Place, Places
from hpctrain.data.scroll.random import GRID, POOL, WINDOW, Draws, permutation, stream
from hpctrain.errors import DataError

_TRIES = 8
"""Draws of a window that must have some papyrus; then the best of them is taken."""
_MOST_LISTED = 1 << 20
"""Validation windows that are looked at one by one."""
FindPlaces = Callable[[str], Places]


class Drawing:
    """Draws training windows; safe for threads."""

    def __init__(self, scroll: Scroll, find: FindPlaces, seed: int) -> None:
        """Count the places.

        Args:
            scroll: the `data:` block.
            find: gives the places of a kind: all, ink, no_ink or edge.
            seed: of the run.

        Raises:
            DataError: there is none of a kind that is asked for.
        """
        self._scroll, self._seed = scroll, seed
        kinds = {"all": 1.0 if scroll.ink_share is None else 0.0, "edge": scroll.edge_share}
        if scroll.ink_share is not None:
            kinds |= {"ink": scroll.ink_share, "no_ink": 1.0 - scroll.ink_share}
        self._places = {kind: find(kind) for kind, share in kinds.items() if share}
        for kind, places in self._places.items():
            if not places.count:
                raise DataError(_NONE[kind])
        self._pool: tuple[tuple[int, int], NDArray[np.intp]] = (-1, -1), np.empty(0, np.intp)

    @property
    def num_places(self) -> dict[str, int]:
        """How many places there are of each kind."""
        return {kind: places.count for kind, places in self._places.items()}

    def place(self, i: int, epoch: int, share_of: Callable[[Place], float]) -> Place:
        """The window of sample i in an epoch.

        Args:
            i: number of the sample.
            epoch: the epoch.
            share_of: says how much of a window is papyrus; asked only where that matters.
        """
        draws = self._draws(i, epoch)
        if self._scroll.papyrus_above is None:
            return self._one(draws)
        best, most = None, -1.0
        for _ in range(_TRIES):
            place = self._one(draws)
            share = share_of(place)
            if share >= self._scroll.papyrus_share:
                return place
            if share > most:
                best, most = place, share
        assert best is not None
        return best

    def _one(self, draws: Draws) -> Place:
        scroll = self._scroll
        is_edge, is_ink = draws.share() < scroll.edge_share, draws.share()
        kind = "all" if scroll.ink_share is None else "no_ink"
        if scroll.ink_share is not None and is_ink < scroll.ink_share:
            kind = "ink"
        return self._places["edge" if is_edge else kind].draw(draws)

    def _draws(self, i: int, epoch: int) -> Draws:
        """The numbers that decide over a sample; of a pool those of one of its windows."""
        size = self._scroll.pool
        if size is None:
            return Draws(WINDOW, self._seed, epoch, i)
        number = epoch * self._scroll.samples_per_epoch + i
        lasts = self._scroll.pool_lasts
        pool, number = divmod(number, lasts) if lasts else (0, number)
        turn, number = divmod(number, size)
        return Draws(POOL, self._seed, pool, int(self._order(pool, turn)[number]))

    def _order(self, pool: int, turn: int) -> NDArray[np.intp]:
        """The order in which the windows of a pool are gone through for the n-th time."""
        key, order = self._pool
        if key != (pool, turn):
            key = pool, turn
            order = permutation(self._scroll.pool or 0, self._seed, pool, turn)
            self._pool = key, order
        return order


_NONE = {
    "all": "data.mask: no window has its middle on papyrus in the part that is trained on; mend "
    "the mask, or the ranges of cells",
    "ink": "data.ink_share: there is no ink in the part that is trained on; mend the labels, or "
    "hold out another part",
    "no_ink": "data.ink_share: there is nothing but ink in the part that is trained on; mend the "
    "labels, or hold out another part",
    "edge": "data.edge_share: there is no edge of ink in the part that is trained on; mend the "
    "labels, or hold out another part",
}


def spread(count: int, most: int | None) -> list[int]:
    """Numbers below `count` in order: all, or `most` of them, the same in every run.

    They are drawn and not taken in equal steps, which could follow the rows of a grid.
    """
    if most is None or count <= most:
        return list(range(count))
    if count <= _MOST_LISTED:
        return sorted(
            np.argsort(stream(GRID, count).random_raw(count), kind="stable")[:most].tolist()
        )
    draws, found = Draws(GRID, count), set[int]()
    while len(found) < most:
        found.add(draws.below(count))
    return sorted(found)
