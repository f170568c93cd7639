"""Drawing the parameters of prints and screens."""

import numpy as np
import pytest

from facepad.errors import InputError
from facepad.recapture import PRINT_FAMILIES, SCREEN_FAMILIES, sample_print, sample_screen

FAMILIES = [("print", name) for name in PRINT_FAMILIES] + [("screen", name) for name in SCREEN_FAMILIES]


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_sampled_parameters_lie_in_the_family_s_ranges(kind, family):
    sample = sample_print if kind == "print" else sample_screen
    ranges = (PRINT_FAMILIES if kind == "print" else SCREEN_FAMILIES)[family]
    for seed in range(20):
        params = sample(np.random.default_rng(seed), family)
        assert all(low <= getattr(params, name) <= high for name, (low, high) in ranges.items())
        assert params.margin > 0
        assert sample(np.random.default_rng(seed), family, border=False).margin == 0


def test_sampling_without_a_family_reaches_all_of_them():
    def families_drawn(sample, name, table):
        values = [getattr(sample(np.random.default_rng(seed)), name) for seed in range(60)]
        return {f for f, r in table.items() if any(r[name][0] <= v <= r[name][1] for v in values)}

    assert families_drawn(sample_print, "saturation", PRINT_FAMILIES) == set(PRINT_FAMILIES)
    assert families_drawn(sample_screen, "saturation", SCREEN_FAMILIES) == set(SCREEN_FAMILIES)


@pytest.mark.parametrize("sample", [sample_print, sample_screen])
def test_unknown_family_is_refused_with_the_choices(sample):
    with pytest.raises(InputError, match=r"family 'lasser'.*choices"):
        sample(np.random.default_rng(0), "lasser")
