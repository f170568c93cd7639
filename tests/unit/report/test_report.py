"""The report: what it shows, what it leaves out, that it says the summary's numbers and needs nothing but itself."""

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from facepad.errors import ImageError, InputError, RunError, ScoresError
from facepad.media.images import write_image
from facepad.metrics import (
    Rate,
    Resampling,
    choose_threshold,
    fixed_threshold,
    shown_frames,
    summarize,
    to_videos,
)
from facepad.metrics import (
    remarks as remarks_of,
)
from facepad.report import DepthExample, ReportContent, ShortcutProbe, depth_examples, write_report
from facepad.report.depth import depth_cards
from facepad.report.literature import PUBLISHED, published_rows
from facepad.report.losses import loss, top_losses
from facepad.report.markdown import render_markdown
from facepad.report.plots import det_plot, histogram_plots, learning_plots, roc_plot
from facepad.report.sentences import decision, non_responses, remarks
from facepad.report.svg import Ink
from facepad.report.tables import bars, instruments, published_table, unscored
from facepad.report.text import GAP, flatten, interval, number, percent
from facepad.report.write import render
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

ALWAYS = ["decision", "numbers", "instruments", "confusion", "readings", "curves", "scores", "losses"]
SOMETIMES = ["depth", "learning", "unscored", "probes", "published", "recipe", "provenance"]
INSTRUMENTS = (AttackType.PRINT, AttackType.REPLAY_VIDEO)
EPOCHS = [
    {"stage": "before training", "epoch": 0, "dev_loss": 0.87, "dev_accuracy": 0.51},
    {"stage": "head", "epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "dev_loss": 0.6, "dev_accuracy": 0.75},
    {"stage": "head", "epoch": 2, "train_loss": 0.2, "train_accuracy": 0.9, "dev_loss": 0.3, "dev_accuracy": 0.85},
    {"stage": "fine-tune", "epoch": 1, "train_loss": 0.01, "train_accuracy": 1.0, "dev_loss": 0.02, "dev_accuracy": 1},
]


def record(score, label=Label.ATTACK, split=Split.TEST, path="a.jpg", subject="s0", video="v0", kind=AttackType.PRINT):
    status = ScoreStatus.NO_FACE if score is None else ScoreStatus.SCORED
    kind = None if label is Label.BONA_FIDE else kind
    return ScoreRecord(path, subject, video, 0, label, kind, split, status, score)


def simulated(split, n=60, seed=0, spread=1.5, missing=2):
    """Overlapping scores of both classes, two instruments, six subjects per split, some images without a score."""
    generator = np.random.default_rng(seed)
    records = []
    for label, middle in ((Label.BONA_FIDE, 2.0), (Label.ATTACK, -2.0)):
        for index in range(n):
            score = float(1 / (1 + math.exp(-(middle + spread * generator.standard_normal()))))
            who = f"{split.value}{index % 6}"
            records.append(
                record(
                    None if index < missing else score,
                    label,
                    split,
                    path=f"{split.value}/{label.value}/{index}.jpg",
                    subject=who,
                    video=f"{label.value}-{who}",
                    kind=INSTRUMENTS[index % 2],
                )
            )
    return records


def content_of(dev, test, threshold=None, cluster="subject", **fields):
    if threshold is None:
        threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(cluster, 100))
    summary = summarize(test, threshold, source="scores.csv", resampling=Resampling(cluster, 100))
    return ReportContent(title="a title", summary=summary, records=[*dev, *test], threshold=summary.threshold, **fields)


def relief(shown):
    """A network's view of a record: a picture twice as wide as high, and a ramp as deep as its score."""
    ramp = np.linspace(0, shown.score, 32, dtype=np.float32)
    return np.full((40, 80, 3), 90, np.uint8), np.tile(ramp, (32, 1))


@pytest.fixture(scope="module")
def plain():
    return content_of(simulated(Split.DEV, seed=1), simulated(Split.TEST, seed=2))


@pytest.fixture(scope="module")
def full(plain, tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    shown = top_losses(plain)[Label.ATTACK][0].path
    write_image(root / shown, np.full((480, 640, 3), (200, 30, 30), dtype=np.uint8))
    return replace(
        plain,
        image_root=root,
        depth_examples=depth_examples(plain.measured, plain.threshold.value, relief, per_class=4),
        epochs=EPOCHS,
        recipe={"name": "mine", "train": {"seed": 7}, "stages": [{"name": "head", "lr": 1e-4}]},
        facts={"machine": "two cores"},
        probes=[ShortcutProbe("face blanked", "surroundings only", Rate(0.312, 0.2, 0.4, 120, "bootstrap"))],
        published=published_rows("TLA-MobileNetV2"),
        notes=remarks_of(["measured on a rainy day"]),
    )


@pytest.fixture(scope="module")
def full_page(full):
    return render(full)


class Page(HTMLParser):
    """The page as tags with attributes, and its visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self._open = [], [], []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", "".join(self.words))
        assert not self._open, f"unclosed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        # `p`, `li` and the like are closed explicitly too: every end tag must match.
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    def sections(self):
        return [attrs["id"] for tag, attrs in self.tags if tag == "section"]


def squeezed(text):
    return re.sub(r"\s+", " ", text)


def test_sections_without_content_are_left_out(plain):
    scored = [r for r in plain.records if r.score is not None]
    bare = content_of(
        [r for r in scored if r.split is Split.DEV], [r for r in scored if r.split is Split.TEST], image_root=None
    )
    page = Page(render(bare))
    assert page.sections() == ALWAYS
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == [f"#{name}" for name in ALWAYS]


def test_full_report_has_all_sections_in_order(full_page):
    page = Page(full_page)
    assert page.sections() == [*ALWAYS, *SOMETIMES]
    for text in ("train.seed", "stages.0.lr", "two cores", "Measured on a rainy day."):
        assert text in page.text


def test_page_shows_the_numbers_of_the_summary(full, full_page):
    text = squeezed(full_page)
    rates, errors = full.summary.rates, full.summary.non_responses_as_errors
    names = ["APCER", "FAR", "BPCER (FRR)", "ACER", "HTER", "Accuracy"]
    keys = ["apcer", "far_pooled", "bpcer", "acer", "hter", "accuracy"]
    expected = [(name, rates[key]) for name, key in zip(names, keys, strict=True)]
    expected += [("EER", rates["eer"])]
    expected += [(f"BPCER @ {100 * at:g}{GAP}%", rate) for at, rate in full.summary.bpcer_at_apcer.items()]
    expected += [("APNRR", rates["apnrr"]), ("BPNRR", rates["bpnrr"])]
    expected += [(name, errors[key]) for name, key in zip(names, keys, strict=True)]
    start = 0
    for name, rate in expected:
        start = text.index(squeezed(f'<th scope="row">{name}<'), start)
        row = text[start : text.index("</tr>", start)]
        assert f">{percent(rate.value, False)}</td>" in row and f">{interval(rate, False)}</td>" in row, name
        assert f">{rate.n}</td>" in row and rate.method in row, name
        start += 1
    tiles = re.findall(r'class="name">(\w+)</span><span class="value">([0-9.]+)<.*?95&nbsp;%: ([0-9. to]+)<', text)
    headline = [(name, rates[name.lower()]) for name in ("APCER", "BPCER", "ACER", "EER")]
    assert tiles == [(name, percent(rate.value, False), interval(rate, False)) for name, rate in headline]
    for of_class in full.summary.precision_recall.values():
        assert f"{of_class['precision'].value:.4f}" in text
        assert f"{of_class['f1'].low:.4f} to {of_class['f1'].high:.4f}" in text
    assert f"{full.summary.rates['auc'].value:.4f}" in text
    matrix = full.summary.confusion
    assert f"<b>{matrix.attack_accepted}</b>" in text and f"<b>{matrix.bona_fide_accepted}</b>" in text
    assert f"<b>{number(full.threshold.value)}</b>" in text


def test_metrics_json_is_the_summary_and_the_probes(full, tmp_path):
    path = write_report(tmp_path / "new" / "folder", full)
    assert path == tmp_path / "new" / "folder" / "report.html"
    written = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"))
    assert written.pop("probes") == {
        "face blanked": {
            "description": "surroundings only",
            "eer": {"value": 0.312, "low": 0.2, "high": 0.4, "n": 120},
        }
    }
    assert written == json.loads(json.dumps(full.summary.to_dict()))
    assert sorted(p.name for p in path.parent.iterdir()) == ["metrics.json", "report.html", "report.md"]


def test_same_content_gives_same_bytes(full, full_page, tmp_path):
    assert write_report(tmp_path, full).read_text(encoding="utf-8") == full_page


def test_unwritable_folder_is_a_run_error(plain, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write"):
        write_report(tmp_path / "file", plain)


def test_page_needs_nothing_from_outside(full_page):
    text, page = full_page, Page(full_page)
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form"), tag
        assert not any(name.startswith("on") for name in attrs), attrs
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert attrs.get(name, "#").startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")), attrs[
                name
            ]
    assert not re.search(r"@import|url\((?!#)|https?://", text)
    policy = next(attrs["content"] for _, attrs in page.tags if "content-security-policy" in str(attrs).lower())
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_reference_has_its_target(full_page):
    text = full_page
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_pictures_and_figures_have_alternative_texts(full_page):
    page = Page(full_page)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    figures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert images and all(attrs["alt"] for attrs in images)
    assert len(figures) == 6
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert sum(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th") > 2 * tables


HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "'; style='background:url(http://example.org)'.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "$\\frac{1}$ &amp; </section>.jpg",
    "\u202egpj.exe",
    "日本/顔.jpg",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    test = simulated(Split.TEST, seed=2, missing=0)
    hardest = [replace(record(0.999999), path=path, subject=path, video=path) for path in HOSTILE]
    unscored_ones = [replace(record(None), path=path, subject=path, video=path) for path in HOSTILE]
    nasty = HOSTILE[1]
    content = content_of(
        simulated(Split.DEV, seed=1),
        test + hardest + unscored_ones,
        image_root=tmp_path_factory.mktemp("images"),
        epochs=[{"stage": name, "epoch": 1, "train_loss": 0.5} for name in HOSTILE],
        recipe={nasty: nasty, "section": {nasty: [nasty]}},
        facts={nasty: nasty},
        probes=[ShortcutProbe(nasty, nasty, Rate(0.3, 0.2, 0.4, 10, nasty))],
        notes=remarks_of(HOSTILE),
    )
    nasty_map = DepthExample(nasty, Label.BONA_FIDE, None, 0.5, True, *relief(record(0.5)))
    return replace(content, title=nasty, dataset=nasty, depth_examples=[nasty_map])


def test_hostile_names_are_text_and_nothing_else(full_page, hostile):
    page = Page(render(hostile))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in Page(full_page).tags}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    for path in HOSTILE:
        assert page.text.count(squeezed(path)) >= 2, path


def test_names_that_are_not_utf8_are_written_escaped(plain, tmp_path):
    content = replace(plain, facts={"folder": "caf\udce9"})
    assert "caf\\udce9" in write_report(tmp_path, content).read_text(encoding="utf-8")
    assert "caf\\udce9" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "probes" not in json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))


def test_records_that_are_not_the_measured_ones_are_refused(plain):
    with pytest.raises(ScoresError, match="SHA-256"):
        replace(plain, records=plain.records[:-1])


def test_threshold_that_was_not_applied_is_refused(plain):
    with pytest.raises(ScoresError, match=r"0\.25"):
        replace(plain, threshold=fixed_threshold(0.25))


def test_decision_names_threshold_instrument_counts_and_intervals(plain):
    rates = plain.summary.rates
    text = re.sub("<.*?>", "", decision(plain)).replace(GAP, " ")
    assert f"At threshold {plain.threshold.value:.4g}, chosen on the dev scores (58 bona fide, 58 attacks)" in text
    assert "by criterion eer (equal error rate)" in text
    worst = plain.summary.worst_instrument.replace("_", " ")
    apcer = rates["apcer"]
    assert f"of the {worst} attacks, the worst instrument, were accepted ({round(apcer.value * apcer.n)} of" in text
    assert interval(rates["bpcer"]).replace(GAP, " ") in text


def test_decision_says_when_a_threshold_was_given():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST), threshold=fixed_threshold(0.5))
    assert "given as a number and not chosen on data" in decision(content)
    assert any("no data set vouches" in remark.text for remark in remarks(content))


def test_non_responses_are_told_apart(plain):
    assert non_responses(plain).startswith(
        "No score for 2 attacks (no face found 2) and 2 bona fide presentations (no face found 2)"
    )
    missing = unscored(plain)
    assert len(missing.rows) == 4 and missing.more == 0
    assert missing.rows[0] == ("test/bona_fide/0.jpg", "bona fide", "no face")


def test_long_list_of_unscored_images_is_capped():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST, missing=30))
    assert (len(unscored(content).rows), unscored(content).more) == (25, 35)


def warnings_of(content):
    return [remark.text for remark in remarks(content) if remark.kind == "warning"]


def test_ordinary_result_has_no_warning(plain):
    assert warnings_of(plain) == []


def test_separable_dev_is_a_warning():
    dev = [record(0.1, split=Split.DEV, subject=f"d{i}") for i in range(3)]
    dev += [record(0.9, Label.BONA_FIDE, Split.DEV, subject=f"d{i}", video="w") for i in range(3)]
    content = content_of(dev, simulated(Split.TEST))
    (warning,) = warnings_of(content)
    assert "perfectly separable" in warning and "from 0.1 to 0.9" in warning
    assert sum("separable" in remark.text for remark in remarks(content)) == 1
    assert 'class="warning"' in render(content)


def test_threshold_chosen_on_the_measured_scores_is_a_warning():
    test = simulated(Split.TEST)
    own = choose_threshold(test, "eer", source="scores.csv", resampling=Resampling(None, 100))
    (warning,) = warnings_of(content_of([], test, threshold=own))
    assert "on the test scores themselves" in warning


def test_threshold_chosen_on_another_test_split_is_a_warning():
    other = choose_threshold(simulated(Split.TEST, seed=9), "eer", source="other.csv", resampling=Resampling(None, 100))
    (warning,) = warnings_of(content_of([], simulated(Split.TEST), threshold=other))
    assert "test split, not on dev" in warning


def test_frames_of_one_clip_in_dev_and_test_are_a_warning():
    test = simulated(Split.TEST)
    leaked = [replace(r, split=Split.DEV, path=f"dev-{r.path}") for r in simulated(Split.TEST, seed=5)]
    (warning,) = warnings_of(content_of(leaked, test))
    assert "leaks: 12 of 12 test clips" in warning


def test_shared_subjects_without_shared_clips_are_a_note():
    dev = [replace(r, split=Split.DEV, video=f"other-{r.video}") for r in simulated(Split.TEST, seed=5)]
    content = content_of(dev, simulated(Split.TEST))
    assert warnings_of(content) == []
    assert "6 of 6 test subjects also stand in dev." in [remark.text for remark in remarks(content)]


def test_frame_intervals_are_called_optimistic():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST), cluster=None)
    assert any("assume independent frames" in remark.text for remark in remarks(content))


def test_top_losses_are_the_hardest_of_each_class_with_their_loss(plain):
    gallery = top_losses(plain)
    measured = [r for r in plain.measured if r.score is not None]
    for label in Label:
        hardest = sorted((r for r in measured if r.label is label), key=loss, reverse=True)[:10]
        assert [entry.path for entry in gallery[label]] == [r.path for r in hardest]
        assert [entry.loss for entry in gallery[label]] == [f"{loss(r):.3f}" for r in hardest]
        assert [entry.wrong for entry in gallery[label]] == [
            (r.score >= plain.threshold.value) != (label is Label.BONA_FIDE) for r in hardest
        ]
    assert any(entry.wrong for entry in gallery[Label.ATTACK])


def test_loss_of_a_sure_mistake_is_infinite_and_of_a_sure_hit_zero():
    assert loss(record(1.0)) == math.inf
    assert str(loss(record(0.0))) == "0.0"
    assert loss(record(0.25, Label.BONA_FIDE)) == pytest.approx(-math.log(0.25))


def test_scores_that_are_no_probabilities_have_no_loss():
    dev, test = (
        [replace(r, score=r.score and 40 * r.score - 20) for r in simulated(s)] for s in (Split.DEV, Split.TEST)
    )
    content = content_of(dev, test)
    gallery = top_losses(content)
    assert {entry.loss for entries in gallery.values() for entry in entries} == {None}
    text = render(content)
    assert "<dt>Score</dt>" in text and "<dt>Loss</dt>" not in text


def test_thumbnails_are_small_jpegs_and_missing_images_placeholders(full, full_page):
    entries = [entry for part in top_losses(full).values() for entry in part]
    (picture,) = [entry.picture for entry in entries if entry.picture]
    image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert image.format == "JPEG" and max(image.size) <= 132 and image.size[0] > image.size[1]
    assert full_page.count('class="placeholder"') == len(entries) - 1


def picture_of(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_depth_examples_are_spread_over_the_scores_of_each_class_and_instrument(plain):
    examples = depth_examples(plain.measured, plain.threshold.value, relief, per_class=5)
    by_path = {r.path: r for r in plain.measured}
    for example in examples:
        shown = by_path[example.path]
        assert (example.score, example.label, example.attack_type) == (shown.score, shown.label, shown.attack_type)
        assert example.accepted == (shown.score >= plain.threshold.value)
    bona_fide, attacks = ([e for e in examples if e.label is label] for label in Label)
    assert [len(bona_fide), len(attacks)] == [5, 5]
    assert [e.attack_type for e in attacks].count(AttackType.PRINT) == 3
    scores = [r.score for r in plain.measured if r.label is Label.BONA_FIDE and r.score is not None]
    assert [e.score for e in bona_fide] == sorted(e.score for e in bona_fide)
    assert (bona_fide[0].score, bona_fide[-1].score) == (min(scores), max(scores))
    assert len({e.path for e in examples}) == 10


def test_few_records_give_few_depth_examples_and_unreadable_ones_none(plain):
    def unreadable(shown):
        raise ImageError(shown.path, "is gone")

    assert [e.path for e in depth_examples([record(0.5), record(None)], 0.5, relief)] == ["a.jpg"]
    assert depth_examples(plain.measured, 0.5, unreadable) == []


def test_depth_cards_show_input_and_map_in_colours(full):
    (dark, *_, bright) = depth_cards(full)[Label.BONA_FIDE]
    assert float(dark.mean_depth) < float(bright.mean_depth)
    assert picture_of(bright.image).format == "JPEG" and picture_of(bright.image).size == (80, 40)
    assert bright.aspect == "80 / 40"
    colours = np.asarray(picture_of(bright.depth).convert("L")).astype(int)
    assert colours.shape == (32, 32)
    assert (np.diff(colours[0]) >= 0).all() and colours[0, -1] > colours[0, 0] + 100
    wrong = [card for cards in depth_cards(full).values() for card in cards if card.wrong]
    assert all((card.decision == "accepted") == (card.actual != "bona fide") for card in wrong)


def test_depth_section_stands_beside_both_classes_and_goes_with_the_thumbnails(full, full_page):
    section = full_page[full_page.index('id="depth"') : full_page.index('id="learning"')]
    assert section.count('class="map"') == 8 and section.count("<h3>") == 2
    assert section.index("Bona fide") < section.index("<h3>Attacks")
    without = Page(render(replace(full, thumbnails=False)))
    assert "depth" not in without.sections() and "#depth" not in [attrs.get("href") for _, attrs in without.tags]


@pytest.mark.parametrize(
    ("image", "depth", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((2, 2), np.float32), r"expected an image of uint8"),
        (np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.float32), r"expected an image of uint8"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((1, 2, 2), np.float32), r"map of shape \(h, w\), got \(1, 2, 2\)"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), 1.5, np.float32), r"depth in \[0, 1\], got 1.5 to 1.5"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), np.nan, np.float32), r"got nan"),
    ],
)
def test_depth_example_of_another_form_is_refused(image, depth, message):
    with pytest.raises(ValueError, match=message):
        DepthExample("a.jpg", Label.BONA_FIDE, None, 0.5, True, image, depth)


def test_report_of_videos_says_so_and_shows_a_frame_of_each(tmp_path):
    frames = [
        replace(r, video=f"clip-{r.path}", path=f"{r.path}-{n}.png", frame=n)
        for split in (Split.DEV, Split.TEST)
        for r in simulated(split)
        for n in range(2)
    ]
    videos = to_videos(frames, "mean")
    dev, test = ([r for r in videos if r.split is split] for split in (Split.DEV, Split.TEST))
    threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(None, 100))
    summary = summarize(test, threshold, aggregation="mean", resampling=Resampling("subject", 100))
    shown = shown_frames(frames, "mean")
    for path in shown.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / path, np.full((300, 300, 3), 80, np.uint8))
    content = ReportContent(
        "videos", summary, [*dev, *test], threshold, tmp_path, pictures=shown, published=published_rows("TLA-ResNet34")
    )
    text = render(content)
    page = Page(text)
    assert "level video, mean of its frames" in page.text
    assert "The test videos of each class" in page.text and "Videos without a score" in page.text
    assert "videos, by video" in page.text
    assert 'class="placeholder"' not in text and text.count("data:image/jpeg") == 20
    assert "level video" not in Page(render(content_of(simulated(Split.DEV), simulated(Split.TEST)))).text


def test_thumbnails_can_be_left_out(full):
    text = render(replace(full, thumbnails=False))
    assert "<img" not in text and 'class="placeholder"' not in text
    assert "Pictures are left out." in text
    assert full.measured[5].path in text or top_losses(full)[Label.ATTACK][0].path in text


def test_figures_take_every_colour_from_the_page(full_page):
    text = full_page
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    style = text[text.index("<style>") : text.index("</style>")]
    used = set()
    for figure in figures:
        assert not re.search(r"#[0-9a-fA-F]{6}\b|\b(?:fill|stroke): (?!none|var\()", figure)
        used |= set(re.findall(r"var\((--[a-z0-9-]+)\)", figure))
    for name in used:
        light, dark = style.split("prefers-color-scheme: dark")
        assert f"{name}:" in light, name
        assert f"{name}:" in dark or name == "--font", name
    assert {ink.css for ink in Ink} >= {f"var({name})" for name in used - {"--font"}}


def test_every_ink_is_defined_light_and_dark_and_in_print(full_page):
    for ink in Ink:
        assert full_page.count(f"{ink.css[4:-1]}:") == 3, ink


def test_learning_curves_mark_stages_and_the_state_before_training():
    loss_plot, accuracy_plot = learning_plots(EPOCHS)
    assert "Stages: 1 is head; 2 is fine-tune." in loss_plot.caption
    assert "train 0.5 to 0.01, dev 0.87 to 0.02" in loss_plot.caption
    assert "train 80 to 100, dev 51 to 100" in accuracy_plot.caption


def test_learning_curves_leave_out_what_was_never_measured():
    (only,) = learning_plots([{"stage": "head", "epoch": 1, "train_loss": 0.5, "dev_loss": None}])
    assert "train 0.5 to 0.5" in only.caption and "dev" not in only.caption
    assert learning_plots([{"stage": "head", "epoch": 1, "train_loss": math.nan}]) == []


def test_roc_has_the_papers_axes_and_marks_the_equal_error_rate(plain):
    svg = str(roc_plot(plain).svg)
    eer = percent(plain.summary.rates["eer"].value)
    assert f"EER {eer}" in svg and f"equal error rate {eer}" in svg
    assert "FPR: attacks accepted" in svg and "TPR: bona fide accepted" in svg
    for axis in ("0", "20", "40", "60", "80", "100"):
        assert len(re.findall(rf">{axis}<", svg)) >= 2  # linear, from 0 to 100 % on both axes


def test_several_instruments_have_a_det_line_each(plain):
    legend = det_plot(plain).svg
    assert "replay video" in legend and "all attacks" in legend
    only = content_of(simulated(Split.DEV), [r for r in simulated(Split.TEST) if r.attack_type in (None, "print")])
    assert "replay video" not in det_plot(only).svg


@pytest.mark.parametrize(
    ("scores", "threshold"), [((0.9, 0.1), 0.5), ((0.9, 0.1), -1.0), ((0.1, 0.9), 0.5), ((0.5, 0.5), 2.0)]
)
def test_extreme_scores_and_thresholds_are_drawn(scores, threshold):
    test = [record(scores[0], Label.BONA_FIDE, subject="a", video="x"), record(scores[1], subject="b")]
    content = content_of([], test, threshold=fixed_threshold(threshold), cluster=None)
    drawn = [roc_plot(content), det_plot(content), *histogram_plots(content)]
    assert len(drawn) == 3
    for plot in drawn:
        assert plot.svg.startswith("<svg") and not re.search(r"\b(nan|inf)\b", plot.svg)


def test_dev_of_one_class_has_no_histogram():
    dev = [r for r in simulated(Split.DEV) if r.label is Label.ATTACK]
    content = content_of(dev, simulated(Split.TEST), threshold=fixed_threshold(0.5))
    assert len(histogram_plots(content)) == 1


def test_split_that_nobody_named_is_called_evaluated():
    test = [replace(r, split=None) for r in simulated(Split.TEST)]
    content = content_of([], test, threshold=fixed_threshold(0.5))
    assert content.measured == test and content.split_name == "evaluated"
    assert histogram_plots(content)[0].caption.startswith("Scores on evaluated")


def test_instrument_without_scores_is_said_to_be_undefined():
    test = [
        replace(r, score=None, status=ScoreStatus.NO_FACE) if r.attack_type == "print" else r
        for r in simulated(Split.TEST)
    ]
    content = content_of(simulated(Split.DEV), test)
    rows = {row.name: row for row in instruments(content)[0]}
    assert rows["print"].errors == "none scored" and rows["print"].bar is None
    assert rows["print"].apcer.value == "not defined" and rows["replay video"].worst


def test_bars_share_a_scale_that_holds_them_all():
    drawn, end = bars([Rate(0.03, 0.01, 0.06, 10, ""), None, Rate(0.0, 0.0, 0.02, 10, "")])
    assert end == f"10{GAP}%"
    assert drawn[1] is None
    assert all(0 <= bar.low <= bar.value <= bar.low + bar.width <= 100 for bar in drawn if bar)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "100"), (0.5, "50.00"), (0.000333, "0.033"), (0.99976, "99.976"), (0.00097, "0.097")],
)
def test_percent_keeps_small_distances_visible(value, shown):
    assert percent(value, unit=False) == shown
    assert percent(value) == f"{shown}{GAP}%"


def test_recipe_is_flattened_as_overrides_name_its_keys():
    flat = dict(flatten({"a": {"b": None, "c": True}, "stages": [{"lr": 1e-4}, {"lr": 1e-5}], "taps": ["x", "y"]}))
    assert flat == {"a.c": "true", "stages.0.lr": "0.0001", "stages.1.lr": "1e-05", "taps": '["x", "y"]'}


def test_published_rows_of_a_method_come_first_with_its_papers_others():
    names = [row.name for row in published_rows("TLA-ResNet34")]
    assert names[0] == "TLA-ResNet34" and "TLA-MobileNetV2" in names and "LSTM-CNN" not in names
    fusion = published_rows("AttentionFusion")
    assert [(row.dataset, row.eer) for row in fusion[:2]] == [("CASIA-MFSD", 0.0287), ("Replay-Attack", 0.0194)]
    assert published_rows(None) == ()


def test_unknown_published_method_lists_the_choices():
    with pytest.raises(InputError, match="did you mean 'TLA-ResNet34'"):
        published_rows("TLA-Resnet34")


def test_published_figures_are_fractions_and_contradictions_are_marked():
    rates = ("accuracy", "eer", "apcer", "bpcer", "hter", "precision", "recall", "f1")
    for row in PUBLISHED:
        values = [value for name in rates if (value := getattr(row, name)) is not None]
        assert values and all(0 < value < 1 for value in values), row.name
        assert row.remark or row.consistent
    resnet = published_rows("TLA-ResNet34")[0]
    assert resnet.hter == pytest.approx((resnet.apcer + resnet.bpcer) / 2, abs=5e-5)
    assert resnet.f1 == pytest.approx(2 / (1 / resnet.precision + 1 / resnet.recall), abs=1e-4)
    mobile = published_rows("TLA-MobileNetV2")[0]
    # All errors on the larger class give the smallest HTER that this accuracy allows.
    assert not mobile.consistent and (1 - mobile.accuracy) * (5105 + 7509) / 7509 / 2 > mobile.hter


def test_published_table_has_this_result_on_top_in_the_same_units(full, full_page):
    table = published_table(full)
    assert table.columns[0] == "Accuracy, %" and "EER, %" not in table.columns
    assert table.own[0] == percent(full.summary.rates["accuracy"].value, False)
    by_name = {row.name: dict(zip(table.columns, cells, strict=True)) for row, _, cells in table.rows}
    assert by_name["TLA-ResNet34"]["HTER, %"] == "0.213"
    assert by_name["TLA-ResNet34"]["APCER, %"] == "0.333"
    assert by_name["FASNet (VGG-16)"] == dict.fromkeys(table.columns, "") | {"Accuracy, %": "99.04", "HTER, %": "1.2"}
    text = Page(full_page).text
    assert "inconsistent" in text and text.count("cannot both hold") == 1


def test_published_figures_of_the_same_data_set_come_first_with_this_result_among_them(full):
    fusion = replace(full, published=published_rows("AttentionFusion"))
    unknown = published_table(fusion)
    assert [(group.title, group.own) for group in unknown.groups] == [("CASIA-MFSD", False), ("Replay-Attack", False)]
    known = published_table(replace(fusion, dataset="Replay-Attack"))
    assert [(group.title, group.own) for group in known.groups] == [("Replay-Attack", True), ("CASIA-MFSD", False)]
    assert [(row.name, cells) for row, _, cells in known.groups[0].rows] == [
        ("AttentionFusion", ("1.94",)),
        ("Yang et al.", ("2.14",)),
        ("DPCNN", ("2.9",)),
        ("Fine-tuned VGG-Face", ("8.4",)),
    ]
    assert known.own == (percent(full.summary.rates["eer"].value, False),)
    for content in (fusion, replace(fusion, dataset="Replay-Attack")):
        page = Page(render(content)).text
        assert page.count("This result") == 1
    assert page.index("Replay-Attack") < page.index("This result") < page.index("CASIA-MFSD")


def test_this_result_beside_published_ones_names_its_protocol_and_level(full):
    rows, name = published_rows(None, "Replay-Attack"), "Replay-Attack"
    summary = replace(full.summary, aggregation="mean")
    content = replace(full, summary=summary, published=rows, dataset=name, protocol="grandtest")
    assert {row.dataset for row in rows} == {name}
    assert published_table(content).protocol == "grandtest, by video"
    assert "grandtest, by video" in Page(render(content)).text
    assert "| This result | Replay-Attack | grandtest, by video |" in render_markdown(content)
    # Among rows of other data only the title says what it was measured on.
    assert published_table(replace(content, dataset="NUAA")).protocol == f"{full.title}, by video"


def test_papers_comparison_is_complete():
    """EER in percent (CASIA-MFSD, Replay-Attack), None where the paper gives none."""
    table = {
        "AttentionFusion": (2.87, 1.94),
        "Fine-tuned VGG-Face": (5.2, 8.4),
        "LSTM-CNN": (5.17, None),
        "Yang et al.": (4.92, 2.14),
        "DPCNN": (4.5, 2.9),
        "Siddiqui et al.": (3.14, None),
    }
    rows = {(row.name, row.dataset): row.eer for row in published_rows("AttentionFusion")}
    for name, figures in table.items():
        for dataset, figure in zip(("CASIA-MFSD", "Replay-Attack"), figures, strict=True):
            assert rows.pop((name, dataset), None) == (None if figure is None else pytest.approx(figure / 100))
    assert not rows


# report.md

MARKDOWN_ALWAYS = ["Key figures", "Attack instruments", "Confusion matrix", "Threshold", "Provenance"]
MARKDOWN_SOMETIMES = ["Images without a score", "Short-cut probes", "Published figures"]


def headings(text):
    return re.findall("^## (.*)$", text, flags=re.MULTILINE)


def tables_of(text):
    """Tables as rows of cells; an escaped | parts nothing."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block] for block in blocks]


def cells_of(text, start):
    """The rows whose first cell begins so."""
    return [row for table in tables_of(text) for row in table if row[0].startswith(start)]


def test_markdown_has_the_parts_that_the_content_has(plain, full):
    scored = [r for r in plain.records if r.score is not None]
    parts = [[r for r in scored if r.split is split] for split in (Split.DEV, Split.TEST)]
    assert headings(render_markdown(content_of(*parts))) == MARKDOWN_ALWAYS
    text = render_markdown(full)
    assert headings(text) == [*MARKDOWN_ALWAYS[:3], *MARKDOWN_SOMETIMES, *MARKDOWN_ALWAYS[3:]]
    assert "- Measured on a rainy day." in text and "![" not in text and "data:" not in text


def test_markdown_shows_the_numbers_of_the_summary(full):
    text, summary = render_markdown(full), full.summary
    for name in ("apcer", "bpcer", "acer", "hter", "eer"):
        title = {"bpcer": "BPCER (FRR)"}.get(name, name.upper())
        _, _, value, span, n = cells_of(text, title)[0]
        rate = summary.rates[name]
        assert (value, span, n) == (f"{percent(rate.value, False)} %", interval(rate, False), str(rate.n)), name
    for name, rates in summary.instruments.items():
        title = f"{name} (worst)" if name == summary.worst_instrument else name
        _, accepted, apcer, span, *_ = cells_of(text, title.replace("_", " "))[0]
        assert accepted == f"{round(rates.apcer.value * rates.apcer.n)} of {rates.apcer.n}"
        assert (apcer, span) == (percent(rates.apcer.value, False), interval(rates.apcer, False))
    counts = summary.confusion
    (matrix,) = cells_of(text, "attack")
    assert matrix[1].startswith(f"{counts.attack_accepted} (") and matrix[3].startswith("2 (")
    assert cells_of(text, "face blanked")[0][2:] == ["31.20 %", "20.00 to 40.00 %", "120"]
    assert cells_of(text, "This result")[0][3] == percent(summary.rates["accuracy"].value, False)
    assert "0.213" in cells_of(text, "TLA-ResNet34")[0]


def test_markdown_tells_where_threshold_and_data_came_from(full):
    text, origin = render_markdown(full), full.threshold.origin
    assert cells_of(text, "value") == [["value", str(full.threshold.value)]]
    assert cells_of(text, "criterion") == [["criterion", "eer: equal error rate"]]
    assert cells_of(text, "chosen on") == [["chosen on", "scores.csv, split dev: 58 bona fide, 58 attacks"]]
    assert cells_of(text, "scores' SHA-256") == [["scores' SHA-256", origin.sha256]]
    assert cells_of(text, "measured scores' SHA-256")[0][1] == full.summary.sha256
    assert cells_of(text, "machine") == [["machine", "two cores"]]
    given = render_markdown(content_of(simulated(Split.DEV), simulated(Split.TEST), threshold=fixed_threshold(0.5)))
    assert "given as a number and not chosen on data" in given and not cells_of(given, "chosen on")


def test_markdown_decision_is_the_pages_sentence_with_bold_figures(full):
    text = render_markdown(full)
    plain_text = re.sub("<.*?>", "", decision(full)).replace(GAP, " ")
    assert plain_text in text.replace("**", "").replace("\\", "")
    assert f"At threshold **{number(full.threshold.value)}**, chosen on" in text


def test_markdown_keeps_its_tables_whatever_names_hold(hostile):
    text = render_markdown(hostile)
    assert not re.search(r"(?<!\\)[<>`$\[\]]", text)
    assert len(tables_of(text)) == 10
    for table in tables_of(text):
        assert len({len(row) for row in table}) == 1, table[0]
    shown = re.sub(r"\\([^\w\s])", r"\1", text)
    for path in HOSTILE:
        assert squeezed(path) in shown, path


def test_markdown_of_videos_says_so():
    videos = [replace(r, video=f"clip-{r.path}") for split in (Split.DEV, Split.TEST) for r in simulated(split)]
    fused = to_videos(videos, "mean")
    dev, test = ([r for r in fused if r.split is split] for split in (Split.DEV, Split.TEST))
    threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(None, 100))
    summary = summarize(test, threshold, aggregation="mean", resampling=Resampling("subject", 100))
    text = render_markdown(ReportContent("videos", summary, [*dev, *test], threshold))
    assert "Measured on the test videos, each with the mean score of its frames." in text
    assert "## Videos without a score" in text


def test_large_report_stays_small(tmp_path):
    dev, test = simulated(Split.DEV, n=1500, missing=0), simulated(Split.TEST, n=4500, seed=3, spread=3.0)
    path = write_report(tmp_path, content_of(dev, test, image_root=tmp_path))
    assert path.stat().st_size < 3_000_000
