"""The divided order: each sample once, bounded displacement, no dependence on ranks."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from hpctrain.config.order import Order
from hpctrain.data import DividedSampler
from hpctrain.data.sampler import share, stream

CASES = list(
    itertools.product((7, 12), (5, 8), (1, 2, 4), (0.0, 0.5, 1.0, 3.0), ("fixed", "each_epoch"))
)


def make(files=12, per_file=8, parts=4, distance=1.0, deal="fixed", **options) -> DividedSampler:
    order = Order(kind="divided", parts=parts, shuffle_distance=distance, deal=deal)
    given = {"seed": 3, "batch": 8} | options
    return DividedSampler(
        files * per_file,
        given["batch"],
        given["seed"],
        order,
        per_file,
        is_last_kept=given.get("is_last_kept", True),
    )


@pytest.mark.parametrize(("files", "per_file", "parts", "distance", "deal"), CASES)
def test_order__each_sample_once_and_no_farther_than_allowed(
    files, per_file, parts, distance, deal
):
    sampler = make(files, per_file, parts, distance, deal)
    still = make(files, per_file, parts, 0.0, deal)
    for epoch in (0, 1, 5):
        batches = [sampler.batch(epoch, s) for s in range(sampler.batches_per_epoch)]
        assert sorted(itertools.chain(*batches)) == list(range(files * per_file))
        for part, base in zip(sampler.parts(epoch), still.parts(epoch), strict=True):
            places = {sample: place for place, sample in enumerate(base.tolist())}
            moved = [abs(places[i] - place) for place, i in enumerate(part.tolist())]
            assert max(moved) <= distance * per_file
            assert distance < 1 or max(moved) > 0


def test_distance_0__samples_of_a_file_follow_one_another_in_files_in_random_order():
    (part,) = make(parts=1, distance=0.0).parts(0)
    files = part.reshape(12, 8)
    assert (files % 8 == np.arange(8)).all()
    order = files[:, 0] // 8
    assert sorted(order) == list(range(12))
    assert list(order) != sorted(order)


def test_large_distance__is_a_random_order_of_the_whole_part():
    (part,) = make(parts=1, distance=1e6).parts(0)
    # neighbours of one file: 7 of 95 would be by chance, and 84 without displacement
    neighbours = int((np.diff(part // 8) == 0).sum())
    assert neighbours < 20
    assert len(set((part[:24] // 8).tolist())) > 8


def test_order__is_pinned():
    # A change here gives every resumed run another order.
    sampler = make(files=4, per_file=3, parts=2, batch=4, seed=0)
    assert sampler.order(0) == PINNED
    assert make(files=4, per_file=3, parts=2, batch=4, seed=0, deal="each_epoch").order(0) == DEALT


PINNED = (0, 1, 6, 7, 3, 2, 8, 10, 4, 5, 9, 11)
DEALT = (0, 1, 6, 7, 3, 2, 8, 10, 4, 5, 9, 11)


def test_order__epochs_and_seeds_differ_and_repeat():
    orders = {(seed, e): make(seed=seed).order(e) for seed in (0, 1) for e in (0, 1)}
    assert len(set(orders.values())) == 4
    assert make(seed=1).order(1) == orders[1, 1]


def test_fixed_deal__a_part_keeps_its_samples_and_a_new_deal_does_not():
    fixed, dealt = make(), make(deal="each_epoch")
    members = [[frozenset(p.tolist()) for p in s.parts(e)] for s in (fixed, dealt) for e in (0, 1)]
    assert members[0] == members[1]
    assert members[0] == [frozenset(range(24 * p, 24 * p + 24)) for p in range(4)]
    assert members[2] != members[3]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_batches__do_not_depend_on_ranks(ranks):
    sampler = make(files=7, per_file=5)
    streams = [list(stream(sampler, r, ranks, epochs=2)) for r in range(ranks)]
    for shares in zip(*streams, strict=True):
        found = [i for own in shares if not own.is_filler for i in own.ids]
        assert tuple(found) == sampler.batch(shares[0].epoch, shares[0].step)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks__read_their_own_parts_only(ranks):
    sampler = make()
    for rank in range(ranks):
        own = {i // 24 for s in stream(sampler, rank, ranks, epochs=2) for i in s.ids}
        parts = {p for p in range(4) if p * ranks // 4 == rank or rank * 4 // ranks == p}
        assert own == parts


def test_resume__on_other_ranks_sees_what_was_left():
    seen: Counter[int] = Counter()
    for first, last, ranks in ((0, 3, 4), (3, 7, 2), (7, 12, 1)):
        for rank in range(ranks):
            shares = stream(make(), rank, ranks, step=first, epochs=1)
            for own in itertools.islice(shares, last - first):
                seen.update(own.ids)
    assert seen == Counter(range(96))


def test_batch__takes_as_many_of_every_part():
    sampler = make()
    for step in range(sampler.batches_per_epoch):
        assert Counter(i // 24 for i in sampler.batch(0, step)) == dict.fromkeys(range(4), 2)


def test_last_batch__is_dropped_or_holds_what_all_parts_have_left():
    dropped = make(files=7, per_file=5, is_last_kept=False)
    kept = make(files=7, per_file=5)
    assert (dropped.batches_per_epoch, kept.batches_per_epoch) == (4, 5)
    assert len(kept.batch(0, 4)) == 35 - 4 * 8
    assert share(kept.batch(0, 4), 0, 4) == ()
    assert {*dropped.order(0)[:32]}.isdisjoint(kept.batch(0, 4))


def test_files_in_use__are_few():
    (part,) = make(files=40, parts=1, distance=1.0).parts(0)
    files = part // 8
    first = {int(f): i for i, f in reversed(list(enumerate(files)))}
    last = {int(f): i for i, f in enumerate(files)}
    live = [sum(first[f] <= i <= last[f] for f in first) for i in range(len(files))]
    assert max(live) <= 4


def test_parts__must_divide_the_batch():
    with pytest.raises(ValueError, match="8 samples cannot be taken evenly of 3 parts"):
        make(parts=3)
