"""The largest difference of an error rate between groups, with a permutation test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facepad.metrics.arrays import Floats, Ints
from facepad.metrics.resampling import Resampling
from facepad.metrics.table import ScoreTable

__all__ = ["LEAST_UNITS", "Blocks", "Gap", "largest_gap", "make_blocks", "small_groups"]

LEAST_UNITS = 5
"""Number of subjects with a score from which a group is compared with others."""

_EQUAL = 1e-12  # rounding of differences that are equal


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference of an error rate between two groups.

    Attributes:
        highest: The group with the higher rate.
        lowest: The group with the lower rate.
        high: The rate of ``highest``, a fraction.
        low: The rate of ``lowest``, a fraction.
        species: The PAI species of both rates, for APCER; None for BPCER.
        p: Share of the permutations with a gap at least as large, the observed groups included. If the groups do not
            differ, p is at most 0.05 with a probability of at most 5 %.
        permutations: Number of permutations.
    """

    highest: str
    lowest: str
    high: float
    low: float
    species: str | None
    p: float
    permutations: int

    @property
    def difference(self) -> float:
        """``high - low``, a fraction."""
        return self.high - self.low

    def to_dict(self) -> dict[str, Any]:
        """Return the gap as an entry of metrics.json."""
        return {
            "difference": self.difference,
            "highest": {"group": self.highest, "value": self.high},
            "lowest": {"group": self.lowest, "value": self.low},
            "species": self.species,
            "p": self.p,
            "permutations": self.permutations,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The decisions on the records of one unit in one group. A unit is a subject, a video or a record.

    Attributes:
        units: Index of the unit of each block, shape (B,).
        groups: Index of the group of each block, shape (B,).
        errors: Number of wrong decisions of each block by kind (PAI species, then bona fide), shape (B, K + 1).
        scored: Number of records with a score, in the same form.
        species: Names of the K species.
    """

    units: Ints
    groups: Ints
    errors: Floats
    scored: Floats
    species: tuple[str, ...]

    def in_several_groups(self) -> int:
        """Return the number of units that are in more than one group."""
        return int(np.count_nonzero(np.bincount(self.units) > 1))

    def of(self, kinds: slice) -> Blocks:
        """Return the kinds of a slice alone, without blocks that have no score of these kinds."""
        kept = self.scored[:, kinds].any(axis=1)
        return Blocks(
            self.units[kept], self.groups[kept], self.errors[kept, kinds], self.scored[kept, kinds], self.species
        )


def make_blocks(table: ScoreTable, groups: Ints, threshold: float) -> Blocks:
    """Count the decisions of each unit in each group.

    Args:
        table: The records.
        groups: Index of the group of each record, -1 for a record in no group, shape (N,).
        threshold: Accept when score >= threshold.
    """
    units = np.arange(len(groups)) if table.clusters is None else table.clusters
    named = groups >= 0
    n_groups, kinds = int(groups.max()) + 1, len(table.instruments) + 1
    keys, place = np.unique(units[named] * n_groups + groups[named], return_inverse=True)
    kind, scored = table.kinds[named], table.scored[named]
    accepted = table.scores[named] >= threshold  # False without a score
    wrong = scored & (accepted != (kind == kinds - 1))
    cell = place * kinds + kind
    errors, counted = (
        np.bincount(cell, weights=flags, minlength=len(keys) * kinds).reshape(len(keys), kinds).astype(np.float64)
        for flags in (wrong, scored)
    )
    return Blocks(keys // n_groups, keys % n_groups, errors, counted, table.instruments)


def largest_gap(
    blocks: Blocks, rate: str, names: Sequence[str], resampling: Resampling
) -> tuple[Gap | None, tuple[str, ...]]:
    """Find the largest gap of a rate between two groups, and test it.

    Groups with fewer than `LEAST_UNITS` units with a score are not compared. For APCER this holds for each PAI species,
    and the gap is the largest one of all species. The test permutes groups: between the units that are in one group,
    and inside each unit that is in several groups. Each permutation is measured in the same way, with the choice of
    large groups, of the species and of the two groups.

    Args:
        blocks: The decisions of each unit in each group.
        rate: ``bpcer`` or ``apcer``.
        names: Names of the groups.
        resampling: Number of permutations, and their seed.

    Returns:
        The gap, or None if fewer than two groups are compared; and the names of the groups that are not compared.
    """
    k = len(blocks.species)
    part = blocks.of(slice(0, k) if rate == "apcer" else slice(k, k + 1))
    if not part.scored.size:
        return None, tuple(names)
    data = np.hstack([part.errors, part.scored, part.scored > 0])
    rates = _compared_rates(data, part.groups, len(names))
    too_small = tuple(name for name, row in zip(names, rates, strict=True) if np.isnan(row).all())
    compared = np.count_nonzero(~np.isnan(rates), axis=0) >= 2
    if not compared.any():
        return None, too_small
    spans = np.where(compared, _spans(rates), -1.0)
    best = int(spans.argmax())
    high, low = int(np.nanargmax(rates[:, best])), int(np.nanargmin(rates[:, best]))
    reached = sum(
        _spans(_compared_rates(data, labels, len(names))).max() >= spans[best] - _EQUAL
        for labels in _permutations(part, resampling)
    )
    gap = Gap(
        highest=names[high],
        lowest=names[low],
        high=float(rates[high, best]),
        low=float(rates[low, best]),
        species=blocks.species[best] if rate == "apcer" else None,
        p=(int(reached) + 1) / (resampling.replicates + 1),
        permutations=resampling.replicates,
    )
    return gap, too_small


def small_groups(blocks: Blocks, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the groups that are too small to compare the APCER of each PAI species, but large enough in another one.

    Args:
        blocks: The decisions of each unit in each group.
        names: Names of the groups.
    """
    units = np.zeros((len(names), len(blocks.species)))
    np.add.at(units, blocks.groups, blocks.scored[:, : len(blocks.species)] > 0)
    small = units < LEAST_UNITS
    small[small.all(axis=1)] = False
    return {
        species: [name for name, of_group in zip(names, column, strict=True) if of_group]
        for species, column in zip(blocks.species, small.T, strict=True)
        if column.any()
    }


def _compared_rates(data: Floats, groups: Ints, n_groups: int) -> Floats:
    """Return the rate of each group and kind, NaN for a group that is too small, shape (G, K).

    Args:
        data: Errors, scored records and ones (if there is a scored record) of each block by kind, shape (B, 3 K).
        groups: Index of the group of each block, shape (B,).
        n_groups: Number of groups G.
    """
    sums = np.stack([np.bincount(groups, weights=column, minlength=n_groups) for column in data.T], axis=1)
    errors, scored, units = np.split(sums, 3, axis=1)
    rates: Floats = np.divide(errors, scored, out=np.full(errors.shape, np.nan), where=units >= LEAST_UNITS)
    return rates


def _spans(rates: Floats) -> Floats:
    """Return the difference of the highest and the lowest rate of each kind; 0 without rates, shape (K,)."""
    high = np.where(np.isnan(rates), -np.inf, rates).max(axis=0)
    low = np.where(np.isnan(rates), np.inf, rates).min(axis=0)
    spans: Floats = np.maximum(high - low, 0.0)
    return spans


def _permutations(blocks: Blocks, resampling: Resampling) -> Iterator[Ints]:
    """Yield the group of each block in each permutation."""
    generator = np.random.default_rng(resampling.seed)
    # Units in one group are one stratum, each other unit is a stratum of its own. Groups move inside a stratum.
    strata = np.where(np.bincount(blocks.units)[blocks.units] == 1, -1, blocks.units)
    base = np.argsort(strata, kind="stable")
    for _ in range(resampling.replicates):
        drawn = np.empty_like(blocks.groups)
        drawn[base] = blocks.groups[np.lexsort((generator.random(len(strata)), strata))]
        yield drawn
