"""Faces, frames and files to one decision: scores by hand, undecided parts, the deciding part, refused policies."""

import numpy as np
import pytest

from facepad.errors import InputError
from facepad.predict.policy import RUN, decide_files, decide_frames, deciding_face, run_score
from facepad.types import DecidedBy, Decision, FrameDecision, Label, Reason, ScoreStatus

SCORES = (0.9, 0.7, 0.2, 0.8, 0.6)
LIVE, ATTACK = 0.9, 0.01


def face(score=None, *reasons, threshold=0.5):
    reasons = reasons or ((Reason.NO_FACE,) if score is None else ())
    return Decision(None, score, threshold, reasons, timings={"score": 1.0})


def frame(*args, index=0, **options):
    return FrameDecision(index, 0.0, (face(*args, **options),))


def clip(*scores, **options):
    return [frame(score, index=10 * number, **options) for number, score in enumerate(scores)]


@pytest.mark.parametrize(("policy", "score"), [("all", 0.64), ("mean", 0.64), ("median", 0.7), ("min", 0.2)])
def test_scores_of_frames_become_one_and_frames_without_a_score_do_not_count(policy, score):
    decision = decide_frames(clip(*SCORES, None), policy)
    assert decision.score == pytest.approx(score)
    assert decision.label is (Label.BONA_FIDE if score >= 0.5 else Label.ATTACK)
    assert decision.timings["score"] == 6.0 and decision.box is None
    assert decision.decided_by == DecidedBy(0, (0, 40), 20, 0)


def test_run_of_attack_frames_makes_a_clip_an_attack_and_is_named():
    scores = [LIVE] * 20
    scores[7 : 7 + RUN] = [0.02, ATTACK, 0.03, 0.02, 0.02]
    decision = decide_frames(clip(*scores))
    assert np.mean(scores) > 0.6 and decision.label is Label.ATTACK and decision.score == 0.03
    assert decision.decided_by == DecidedBy(0, (70, 110), 80, 0)


def test_run_is_found_across_frames_without_a_score():
    live = [LIVE] * 12
    assert decide_frames(clip(*live, ATTACK, None, ATTACK, ATTACK, None, ATTACK, ATTACK)).label is Label.ATTACK


@pytest.mark.parametrize(("live", "attacks"), [(2, 1), (3, 1), (5, 2), (6, 3), (8, 4)])
def test_quarter_of_a_short_clip_in_a_row_makes_it_an_attack(live, attacks):
    attack_last = decide_frames(clip(*[0.98] * live, *[ATTACK] * attacks, threshold=0.3))
    assert (attack_last.label, attack_last.score) == (Label.ATTACK, ATTACK)
    assert attack_last.decided_by.frames[0] == 10 * live
    with_gaps = clip(*[0.98] * live, *[ATTACK] * attacks, *[None] * live, threshold=0.3)
    assert decide_frames(with_gaps).label is Label.ATTACK


def test_run_that_is_one_frame_too_short_leaves_a_live_clip_live():
    assert decide_frames(clip(*[LIVE] * 16, *[ATTACK] * (RUN - 1))).label is Label.BONA_FIDE


@pytest.mark.parametrize("count", [2, 3, 4, 7, 20])
def test_half_of_the_frames_make_a_clip_an_attack_in_any_order(count):
    scores = [ATTACK if number % 2 else 0.99 for number in range(count)]
    if count % 2:
        scores[0] = ATTACK
    decision = decide_frames(clip(*scores, threshold=0.3))
    assert decision.label is Label.ATTACK and decision.score == ATTACK


def test_clip_with_too_few_scores_is_undecided_unless_it_is_an_attack():
    decision = decide_frames(clip(LIVE, None, None))
    assert (decision.label, decision.score, decision.reasons) == (None, None, (Reason.NO_FACE,))
    assert decision.decided_by == DecidedBy(0, (10, 20), 10, 0)
    assert decide_frames(clip(LIVE, LIVE, None, None)).label is Label.BONA_FIDE
    assert decide_frames(clip(ATTACK, None, None)).label is Label.ATTACK
    assert decide_frames(clip(LIVE, None, None), "mean").label is Label.BONA_FIDE


def test_run_of_frames_with_several_faces_is_undecided():
    crowded = [frame(None, Reason.MULTIPLE_FACES) for _ in range(RUN)]
    live = [frame(LIVE)] * 15
    assert decide_frames([*live, *crowded[1:]]).label is Label.BONA_FIDE
    assert decide_frames([*live, *crowded]).reasons == (Reason.MULTIPLE_FACES,)


def test_frames_without_any_score_give_all_reasons_in_their_order():
    decision = decide_frames([frame(None, Reason.TOO_BLURRED, Reason.TOO_DARK), frame(None, Reason.NO_FACE)])
    assert (decision.score, decision.label, decision.status) == (None, None, ScoreStatus.NO_FACE)
    assert decision.reasons == (Reason.NO_FACE, Reason.TOO_DARK, Reason.TOO_BLURRED)


def test_clip_without_a_threshold_has_the_score_that_a_threshold_would_decide_on():
    scores = [LIVE] * 15 + [ATTACK] * 5
    undecided = decide_frames([frame(score, Reason.NO_THRESHOLD, threshold=None) for score in scores])
    assert undecided.reasons == (Reason.NO_THRESHOLD,)
    assert undecided.score == decide_frames(clip(*scores)).score == ATTACK


def test_one_attack_among_files_is_an_attack_and_is_named():
    files = [[frame(0.99)], clip(*[LIVE] * 20), [frame(ATTACK)], [frame()]]
    decision = decide_files(files)
    assert (decision.label, decision.score) == (Label.ATTACK, ATTACK)
    assert decision.decided_by == DecidedBy(2, (0, 0), 0, 0)
    assert decision.timings["score"] == 23.0
    assert decide_files(files, "mean").label is Label.BONA_FIDE
    assert decide_files(files, "min").decided_by.file == 2


def test_undecided_file_makes_the_answer_undecided_with_the_reasons_of_all():
    files = [[frame(0.99)], [frame(None, Reason.TOO_DARK)], [frame(0.98)], [frame(None, Reason.NO_FACE)]]
    decision = decide_files(files)
    assert (decision.label, decision.score, decision.reasons) == (None, None, (Reason.NO_FACE, Reason.TOO_DARK))
    assert decision.decided_by.file == 1
    assert decide_files(files, "mean").label is Label.BONA_FIDE


def test_live_files_give_the_lowest_score():
    decision = decide_files([[frame(0.9)], [frame(0.6)], [frame(0.8)]])
    assert (decision.label, decision.score, decision.decided_by.file) == (Label.BONA_FIDE, 0.6, 1)


def test_all_faces_must_be_live_where_the_policy_says_so():
    faces = (face(LIVE), face(), face(ATTACK))
    assert (deciding_face(faces), deciding_face(faces, "all"), deciding_face(faces[:2], "all")) == (0, 2, 1)
    picture = [[FrameDecision(0, 0.0, faces)]]
    assert decide_files(picture).label is Label.BONA_FIDE
    found = decide_files(picture, faces="all")
    assert (found.label, found.decided_by) == (Label.ATTACK, DecidedBy(0, (0, 0), 0, 2))
    assert decide_frames(picture[0] * 9, faces="all").decided_by.face == 2


def random_mixture(rng):
    """One to six files of live images and clips, of which some image, some half of a clip or some face is an attack."""
    live = lambda count=1: [frame(float(rng.uniform(0.6, 1)), index=number) for number in range(count)]  # noqa: E731
    files = [live(int(rng.choice([1, 20, 30]))) for _ in range(rng.integers(1, 7))]
    attacked = files[rng.integers(len(files))]
    attacks = np.zeros(len(attacked), bool)
    attacks[: max(1, int(len(attacked) * rng.uniform(0.5, 0.9)))] = True
    attacks = np.roll(attacks, rng.integers(len(attacked))) if rng.random() < 0.5 else rng.permutation(attacks)
    second = rng.random() < 0.3
    for number in np.flatnonzero(attacks):
        attack = face(float(rng.uniform(0, 0.1)))
        faces = (attacked[number].decisions[0], attack) if second else (attack,)
        attacked[number] = FrameDecision(attacked[number].index, 0.0, faces)
    return files, "all" if second else "largest"


def test_no_mixture_of_live_and_attack_is_accepted():
    rng = np.random.default_rng(0)
    accepted = {"all": 0, "mean": 0}
    for _ in range(200):
        files, faces = random_mixture(rng)
        for policy in accepted:
            accepted[policy] += decide_files(files, policy, faces=faces).label is Label.BONA_FIDE
    assert accepted["all"] == 0 and accepted["mean"] > 100


def test_unknown_policies_no_frames_and_no_files_are_refused():
    with pytest.raises(InputError, match="unknown policy 'max'; choices: all, mean, median, min"):
        decide_frames([frame(0.5)], "max")
    with pytest.raises(InputError, match="at least one frame"):
        decide_frames([])
    for files in ([], [[frame(0.5)], []]):
        with pytest.raises(InputError, match="at least one f"):
            decide_files(files)


WRONG_CALLS = {
    "frames": decide_frames,
    "decisions on a frame": lambda wrong: decide_frames([FrameDecision(0, 0.0, wrong)]),
    "policy of frames": lambda wrong: decide_frames([frame(LIVE)], wrong),
    "faces in frames": lambda wrong: decide_frames([frame(LIVE)], faces=wrong),
    "files": decide_files,
    "frames of a file": lambda wrong: decide_files([wrong]),
    "policy of files": lambda wrong: decide_files([[frame(LIVE)]], wrong),
    "faces in files": lambda wrong: decide_files([[frame(LIVE)]], faces=wrong),
    "decisions": deciding_face,
    "faces": lambda wrong: deciding_face([face(LIVE)], wrong),
    "scores": run_score,
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_arguments_are_refused_in_one_line(call):
    for wrong in (None, 5, ["live"], {}, "x", (), np.full((9, 9), None)):
        with pytest.raises(InputError) as caught:
            call(wrong)
        assert "\n" not in str(caught.value)
