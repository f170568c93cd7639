"""Looking at a site: amount, people, short cuts and faces."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from facepad.datasets.manifest import write_manifest
from facepad.errors import DatasetError
from facepad.media.images import read_image
from facepad.types import AttackType, Box, Label, Sample
from facepad.workflow.adapt.amounts import collect_next
from facepad.workflow.adapt.facts import background, jpeg_quality
from facepad.workflow.adapt.finding import Finding, refuse_stops, write_findings
from facepad.workflow.adapt.findings import can_train, look_at_site
from facepad.workflow.adapt.separation import separation
from helpers.sites import PEOPLE, photo

FACE = Box(20, 20, 44, 44)


def sample(path, subject, *, live, kind=AttackType.PRINT, box=FACE, **more):
    label = Label.BONA_FIDE if live else Label.ATTACK
    return Sample(str(path), subject, label, None if live else kind, box=box, **more)


def site_of(folder, write, people=PEOPLE, images=4):
    """A manifest with images of each person in both classes; ``write(path, live, number)`` gives file, or box too."""
    samples = []
    for person in people:
        for live in (True, False):
            for image in range(images):
                name = f"{person}-{'live' if live else 'spoof'}-{image}"
                path, box = write(folder / name, live, len(samples))
                samples.append(sample(path.name, person, live=live, box=box))
    write_manifest(folder / "manifest.csv", samples)
    return folder / "manifest.csv", samples


def noise(number, size=64, low=0, high=255):
    return np.random.default_rng(number).integers(low, high, (size, size, 3), dtype=np.uint8)


def jpeg(path, number, *, size=64, quality=90, exif=None, pixels=None):
    path = path.with_suffix(".jpg")
    image = Image.fromarray(noise(number, size) if pixels is None else pixels)
    image.save(path, quality=quality, **({"exif": exif} if exif else {}))
    return path


def shortcuts(folder, write, **how):
    manifest, samples = site_of(folder, write, **how)
    return [finding for finding in look_at_site(manifest, samples, jobs=2) if finding.severity == "short-cut"]


def test_site_without_short_cuts_has_none(tmp_path):
    assert shortcuts(tmp_path, lambda path, live, number: (jpeg(path, number), FACE)) == []


def test_size_and_format_that_tell_the_class_are_a_short_cut_with_evidence(tmp_path):
    def write(path, live, number):
        if live:
            return jpeg(path, number, size=96), Box(30, 30, 66, 66)
        Image.fromarray(noise(number)).save(path.with_suffix(".png"))
        return path.with_suffix(".png"), FACE

    finding, *_ = shortcuts(tmp_path, write)  # the format also changes the noise of the background
    assert finding.text == (
        "every attack is 64x64 PNG and every live picture is 96x96 JPEG: a network may learn the camera instead of "
        "the attack; take both with the same camera and save both in the same way"
    )
    assert finding.evidence[0] == (
        "image size: live 96x96 (16 of 16); attacks 64x64 (16 of 16); it tells 100% right on other people"
    )
    assert finding.evidence[-1] == "for example anna-live-0.jpg and anna-spoof-0.png"


@pytest.mark.parametrize("both", [True, False])
def test_camera_is_a_short_cut_only_if_it_tells_the_class(tmp_path, both):
    def write(path, live, number):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Acme", "One" if live or (both and number % 2) else "Two"
        return jpeg(path, number, exif=exif), FACE

    found = shortcuts(tmp_path, write)
    assert [f.text.split(":")[0] for f in found] == (
        [] if both else ["every attack is from Acme Two and every live picture is from Acme One"]
    )


def test_jpeg_quality_that_tells_the_class_is_a_short_cut(tmp_path):
    [finding] = shortcuts(tmp_path, lambda path, live, n: (jpeg(path, n, quality=90 if live else 60 + n % 3), FACE))
    assert finding.text.startswith("most attacks are JPEG quality 61 and every live picture is JPEG quality 90:")


def test_day_that_tells_the_class_is_a_short_cut(tmp_path):
    def write(path, live, number):
        exif = Image.Exif()
        taken = datetime(2026, 3, 1 if live else 2, 10) + timedelta(minutes=number)
        exif[0x8769] = {0x9003: f"{taken:%Y:%m:%d %H:%M:%S}"}
        return jpeg(path, number, exif=exif), FACE

    [finding] = shortcuts(tmp_path, write)
    assert finding.text.startswith(
        "every attack was taken on 2026-03-02 and every live picture was taken on 2026-03-01:"
    )


def test_background_that_tells_the_class_is_a_short_cut(tmp_path):
    def write(path, live, number):
        return jpeg(path, number, pixels=noise(number, high=60 if live else 250)), Box(28, 28, 36, 36)

    [finding] = shortcuts(tmp_path, write)
    assert finding.text.startswith("the background alone tells attacks and live pictures apart")
    assert finding.evidence[0].startswith("lightness of the background: live ")


def test_face_size_that_tells_the_class_is_a_short_cut(tmp_path):
    sides = {True: 16, False: 40}
    [finding] = shortcuts(
        tmp_path, lambda path, live, n: (jpeg(path, n), Box(2, 2, 2 + sides[live] + n % 5, 2 + sides[live] + n % 5))
    )
    assert finding.text.startswith("the size of the face alone tells attacks and live pictures apart")
    assert finding.evidence[0].startswith("face: live 28% of the image's width (median of 16); attacks 66%")


def test_frames_of_clips_among_images_are_a_short_cut(tmp_path):
    manifest, samples = site_of(tmp_path, lambda path, live, number: (jpeg(path, number), FACE))
    clips = [
        s if s.label is Label.BONA_FIDE else sample(s.path, s.subject, live=False, video=f"{s.path}.mp4", frame=0)
        for s in samples
    ]
    [finding] = [f for f in look_at_site(manifest, clips) if f.severity == "short-cut"]
    assert finding.text.startswith("every attack is clip (.mp4) and every live picture is JPEG:")


def test_nearly_identical_pictures_of_two_people_are_named(tmp_path):
    def write(path, live, number):
        drawn = 0 if path.name in ("anna-live-0", "ben-live-1") else number + 1
        return photo(path.with_suffix(".png"), seed=drawn), FACE

    manifest, samples = site_of(tmp_path, write)
    pairs = [f for f in look_at_site(manifest, samples) if "nearly identical" in f.text]
    assert [f.text.split(" are ")[0] for f in pairs] == ["pictures of 'anna' and 'ben'"]
    assert pairs[0].evidence[0] == "anna-live-0.png ~ ben-live-1.png"


def looked(tmp_path, samples):
    """The findings on samples whose images are not needed."""
    return [(f.severity, f.text) for f in look_at_site(tmp_path / "manifest.csv", samples) if "be read" not in f.text]


def test_amount_is_told_with_what_to_collect_next(tmp_path):
    samples = [sample(f"{p}-{n}.jpg", p, live=n % 2 == 0) for p in ("anna", "ben", "carl") for n in range(60)]
    samples += [
        sample(f"{n}.jpg", "anna", live=False, kind=AttackType.REPLAY_VIDEO, video=f"{n % 2}.mp4", frame=n)
        for n in (1, 2)
    ]
    found = looked(tmp_path, samples)
    assert found[0] == (
        "note",
        "3 people; live: 90 images of 3 people; print: 90 images of 3 people; replay_video: 2 clips of 1 person",
    )
    assert found[1][1].startswith("what to collect next")
    assert collect_next(samples) == (
        "live: 3 more people",
        "print: 3 more people",
        "replay_video: 5 more people; more of anna (2 clips)",
    )
    assert can_train(samples)


def test_fewer_than_three_people_with_attacks_only_calibrate(tmp_path):
    samples = [sample(f"{p}.jpg", p, live=True) for p in PEOPLE]
    samples += [sample(f"{p}-spoof.jpg", p, live=False) for p in PEOPLE[:2]]
    assert not can_train(samples)
    assert (
        "warning",
        "2 people have attack images, and training needs 3: the model is only calibrated; take attack images of "
        "1 more person",
    ) in looked(tmp_path, samples)


def test_people_in_one_class_only_are_named(tmp_path):
    samples = [sample(f"{p}.jpg", p, live=True) for p in PEOPLE] + [sample("x.jpg", "anna", live=False)]
    manifest = tmp_path / "manifest.csv"
    [finding] = [f for f in look_at_site(manifest, samples) if "in one class only" in f.text]
    assert finding.text.startswith("3 people are in one class only")
    assert finding.evidence == ("live images but no attack: ben, carl, dora",)


def test_classes_of_different_people_are_a_short_cut(tmp_path):
    samples = [sample(f"{p}.jpg", p, live=p < "c") for p in PEOPLE]
    assert looked(tmp_path, samples)[0][0] == "short-cut"


def test_only_kind_of_attack_is_named(tmp_path):
    samples = [sample(f"{p}{live}.jpg", p, live=live) for p in PEOPLE for live in (True, False)]
    assert any("the only kind of attack is 'print'" in text for _, text in looked(tmp_path, samples))


def test_images_without_a_face_are_counted_by_class(tmp_path):
    samples = [
        sample(f"{p}{live}.jpg", p, live=live, box=FACE if live else None) for p in PEOPLE for live in (True, False)
    ]
    samples.append(sample("none.jpg", "anna", live=True, box=None))
    found = looked(tmp_path, samples)
    assert found[0] == ("stop", "none of 4 attack images shows a face (first: annaFalse.jpg)")
    assert ("warning", "1 of 5 live images shows no face, and cannot be used") in found


def test_findings_of_the_preparation_come_along(tmp_path):
    earlier = Finding("stop", "from the preparation", ("1",))
    write_findings(tmp_path / "manifest.csv", [earlier])
    samples = [sample("1.jpg", "anna", live=True), sample("2.jpg", "ben", live=False)]
    findings = look_at_site(tmp_path / "manifest.csv", samples)
    assert findings[0] == earlier
    with pytest.raises(DatasetError, match="desk: from the preparation"):
        refuse_stops(findings, "desk")


def test_file_that_is_not_of_findings_is_refused(tmp_path):
    (tmp_path / "findings.json").write_text("[1]")
    with pytest.raises(DatasetError, match=r"findings.json holds no findings of facepad"):
        look_at_site(tmp_path / "manifest.csv", [sample("1.jpg", "anna", live=True)])


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_jpeg_quality_is_near_the_quality_of_the_writer(tmp_path, quality):
    with Image.open(jpeg(tmp_path / "a", 0, quality=quality)) as image:
        tables = image.quantization
    assert jpeg_quality(tables) == pytest.approx(quality, abs=1)


def test_background_is_measured_outside_the_face(tmp_path):
    image = np.full((64, 64, 3), 200, np.uint8)
    image[16:48, 16:48] = 0
    lightness, red, yellow, contrast = background(image, Box(24, 24, 40, 40))
    assert (round(red), round(yellow), contrast) == (128, 128, 0)
    assert lightness > 190
    assert background(image, Box(0, 0, 64, 64)) is None


def test_separation_is_judged_on_other_people():
    people = np.repeat(np.arange(6), 10).astype(str).tolist()
    attacks = [n % 2 == 1 for n in range(60)]
    by_person = [f"{person}-{attack}" for person, attack in zip(people, attacks, strict=True)]
    assert separation(by_person, attacks, people) == 0.5
    assert separation([float(a) for a in attacks], attacks, people) == 1
    assert separation([float(not a) for a in attacks], attacks, people) == 1
    assert separation([1.0] * 60, attacks, people) == 0.5
    assert separation([None] * 60, attacks, people) == 0.5
    assert 0.3 < separation(np.random.default_rng(0).normal(size=60).tolist(), attacks, people) < 0.7


def test_damaged_metadata_counts_as_missing(tmp_path):
    from facepad.media.images import read_header

    exif = Image.Exif()
    exif[0x8769] = {0x9003: "yesterday"}
    path = jpeg(tmp_path / "a", 0, exif=exif)
    header = read_header(path)
    assert (header.format, header.camera, header.taken) == ("JPEG", "", None)
    assert read_image(path).shape == (64, 64, 3)
