"""Order, batches and shares."""

import pytest

from hpctrain.data import GlobalSampler, SequentialSampler
from hpctrain.data.sampler import share, stream
from hpctrain.errors import ConfigError


def test_order__is_a_permutation_that_depends_on_seed_and_epoch_alone():
    sampler = GlobalSampler(100, 8, seed=3)
    orders = [sampler.order(e) for e in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(100))
    assert orders[0] == orders[2] == GlobalSampler(100, 20, seed=3).order(0)
    assert len({orders[0], orders[1], GlobalSampler(100, 8, seed=4).order(0)}) == 3


def test_order__is_pinned():
    # A change here gives every resumed run another order.
    assert GlobalSampler(8, 2, seed=0).order(0) == (7, 6, 2, 3, 1, 0, 4, 5)


def test_batches__partial_last_is_dropped():
    sampler = GlobalSampler(11, 4, seed=0)
    assert sampler.batches_per_epoch == 2
    assert sampler.batch(5, 0) + sampler.batch(5, 1) == sampler.order(5)[:8]


def test_batches__partial_last_is_kept_if_asked_for():
    sampler = GlobalSampler(11, 4, seed=0, is_last_kept=True)
    assert sampler.batches_per_epoch == 3
    assert sum((sampler.batch(5, s) for s in range(3)), ()) == sampler.order(5)
    assert GlobalSampler(12, 4, seed=0, is_last_kept=True).batches_per_epoch == 3


def test_batches__fewer_samples_than_one_batch_is_an_error():
    with pytest.raises(ConfigError, match="global_batch_size: 8, but .* only 7 samples"):
        GlobalSampler(7, 8, seed=0)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_share__ranks_together_have_each_sample_once(world_size):
    ids = GlobalSampler(24, 24, seed=0).batch(0, 0)
    parts = [share(ids, rank, world_size) for rank in range(world_size)]
    assert sum(parts, ()) == ids
    assert {len(p) for p in parts} == {24 // world_size}


def test_share__short_batch_leaves_ranks_empty():
    assert [share((5, 6), rank, 4) for rank in range(4)] == [(), (5,), (), (6,)]


def test_sequential__keeps_the_partial_last_batch():
    sampler = SequentialSampler(10, 4)
    batches = [sampler.batch(7, s) for s in range(sampler.batches_per_epoch)]
    assert batches == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]


def test_stream__rank_without_a_part_gets_a_sample_that_counts_nothing():
    sampler = GlobalSampler(10, 4, seed=1, is_last_kept=True)
    last = [list(stream(sampler, rank, 4))[-1] for rank in range(4)]
    assert [s.is_filler for s in last] == [True, False, True, False]
    assert {s.num_global for s in last} == {2}
    assert [s.ids for s in last[::2]] == [sampler.batch(0, 2)[:1]] * 2


def test_stream__from_the_middle_is_the_rest_of_the_whole():
    sampler = GlobalSampler(20, 4, seed=1)
    whole = list(stream(sampler, 1, 2, epochs=3))
    assert list(stream(sampler, 1, 2, epoch=1, step=2, epochs=3)) == whole[7:]
    assert [(s.epoch, s.step) for s in whole[4:6]] == [(0, 4), (1, 0)]
    assert whole[0].ids == sampler.batch(0, 0)[2:]


def test_stream__other_ranks_see_the_samples_that_were_left():
    sampler = GlobalSampler(24, 4, seed=1)
    seen = [i for r in range(2) for s in list(stream(sampler, r, 2))[:3] for i in s.ids]
    rest = [i for r in range(4) for s in stream(sampler, r, 4, step=3) for i in s.ids]
    assert sorted(seen + rest) == list(range(24))
