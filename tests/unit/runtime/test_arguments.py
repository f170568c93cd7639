import numpy as np
import pytest

from facepad.errors import InputError
from facepad.runtime.arguments import is_number, require_choice, require_count, require_positive

NO_NUMBERS = (None, True, "1", b"1", [1], (), {}, np.zeros(2), float("nan"), float("inf"))
HUGE = 10**400  # Beyond the range of floats.


def test_numbers_below_one_are_refused_and_none_passes():
    for number in (1, 7, np.int32(7), None):
        require_positive("jobs", number)
    with pytest.raises(InputError, match="threads must be at least 1, got -2"):
        require_positive("threads", -2)


def test_counts_are_whole_numbers():
    for value in (*NO_NUMBERS, 5.5, 5.0):
        with pytest.raises(InputError, match="^window must be a whole number of at least 1, got ") as caught:
            require_count("window", value)
        assert str(caught.value).isprintable()


def test_numbers_are_finite_and_no_truth_values():
    assert all(map(is_number, (0, -1.5, np.float32(0.5), np.int64(3))))
    assert not any(map(is_number, (*NO_NUMBERS, HUGE, -HUGE)))


def test_choice_is_one_of_the_names_and_nothing_else():
    require_choice("policy", "all", ("all", "mean"))
    for value in (*NO_NUMBERS, "max", "", 1, np.zeros((9, 9))):
        with pytest.raises(InputError, match="^unknown policy .*; choices: all, mean$") as caught:
            require_choice("policy", value, ("all", "mean"))
        assert str(caught.value).isprintable()
