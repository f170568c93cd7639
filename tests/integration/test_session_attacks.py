"""A part of the generated attacks of benchmarks/sessions.py: none is accepted."""

from __future__ import annotations

import asyncio

from helpers.served import LIVE, encoded
from session_attacks import ATTACKS, attack


def test_no_generated_attack_on_sessions_is_accepted(predictor, tmp_path):
    cases = 10 * len(ATTACKS)
    found = asyncio.run(attack(predictor, encoded(LIVE), tmp_path, cases, seed=1))
    assert sum(made for _, made, _ in found) == cases and len(found) == len(ATTACKS)
    assert {name: accepted for name, _, accepted in found if accepted} == {}
