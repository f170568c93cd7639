"""Batches: every sample counts once on all ranks together, and the order depends on seed and epoch alone."""

from __future__ import annotations

import pytest

from facepad.training.batches import Batches, SeededShuffle


def test_shuffle_depends_on_seed_and_epoch_only():
    shuffle, other = SeededShuffle(20, seed=1), SeededShuffle(20, seed=1)
    first = list(shuffle)
    shuffle.set_epoch(1)
    other.set_epoch(1)
    assert list(shuffle) == list(other) != first
    assert sorted(first) == list(range(20))


@pytest.mark.parametrize("length", [1, 5, 24, 25])
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_every_sample_is_dealt_once_and_weighs_the_same(length, parts):
    dealt = [list(Batches(SeededShuffle(length, 7), 6, parts=parts, mine=[part])) for part in range(parts)]
    assert {len(hands) for hands in dealt} == {-(-length // 6)}
    counted = []
    for number, batch in enumerate(zip(*dealt, strict=True)):
        assert all(batch), "every rank must have a step"
        weights = [
            Batches(SeededShuffle(length, 7), 6, parts=parts, mine=[part]).weight(number) for part in range(parts)
        ]
        real = [(weight, hand) for weight, hand in zip(weights, batch, strict=True) if weight]
        whole = sum(len(hand) for _, hand in real)
        assert [weight / parts / len(hand) for weight, hand in real] == pytest.approx([1 / whole] * len(real))
        counted += [index for _, hand in real for index in hand]
    assert sorted(counted) == list(range(length))


def test_parts_that_one_rank_takes_follow_each_other():
    batches = Batches(range(10), 6, parts=4, mine=range(2, 4))
    assert list(batches) == [[2], [3], [8], [9]]
    assert [batches.weight(number) for number in range(4)] == pytest.approx([4 / 6, 4 / 6, 1, 1])
