import time

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from odm_mmocr.datasets import SeededDataset, SynthesizedSceneText
from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation import data_speed
from odm_mmocr.evaluation.data_speed import (
    PASSES,
    Spread,
    Stopwatch,
    measure_batches,
    measure_labels,
    measure_pipeline,
    measure_synthesizer,
    synthesize_images,
    use_one_core,
)

QUAD = np.array([[4, 4], [60, 4], [60, 20], [4, 20]], float)


class Clock:
    """A clock that what is measured puts forward; this process has the core half of the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(data_speed, 'time', clock)
    return clock


@pytest.fixture
def images(tmp_path):
    """Images of 1, 2 and 3 readable words, and one ignored word each."""
    found = []
    for count in (1, 2, 3):
        path = tmp_path / f'{count}.png'
        cv2.imwrite(str(path), np.zeros((96, 128, 3), np.uint8))
        words = [AnnotatedWord(QUAD, 'word', i == count, '') for i in range(count + 1)]
        found.append(AnnotatedImage(path.name, path, (96, 128), words))
    return found


def test_spread():
    assert Spread.of([5, 1, 2, 4, 3]) == Spread(3, 2, 4)


def test_stopwatch_adds_up_and_tells_waiting_from_work():
    watch = Stopwatch()
    for _ in range(2):
        with watch:
            time.sleep(0.03)
    process, wall = watch.seconds
    assert wall >= 0.06
    assert process < 0.03
    watch.reset()
    assert watch.seconds == (0, 0)


def test_one_core_means_one_thread():
    threads = cv2.getNumThreads(), torch.get_num_threads()
    try:
        use_one_core()
        assert cv2.getNumThreads() == torch.get_num_threads() == 1
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def test_labels_against_their_images(clock, images, monkeypatch):
    cached = set()

    def render(polygons, texts, shape, fonts):
        # Found in the cache, or drawn.
        clock.spend((2 if len(texts) in cached else 8) * len(texts))
        cached.add(len(texts))
        np.testing.assert_allclose(polygons[0].reshape(4, 2), QUAD * (2, 1), rtol=1e-6)
        assert shape == (96, 256)

    class Render:
        def __init__(self, fonts, max_words):
            assert max_words >= 4

        def __call__(self, results):
            clock.spend(3 * (~results['gt_ignored']).sum())

    def decode(*args):
        clock.spend(20)
        return np.zeros((96, 128, 3), np.uint8)

    monkeypatch.setattr(data_speed, 'RenderDestylizedLabel', Render)
    monkeypatch.setattr(data_speed, 'render_words', render)
    monkeypatch.setattr(data_speed, 'clear_caches', cached.clear)
    monkeypatch.setattr(data_speed.cv2, 'imdecode', decode)
    speed = measure_labels(images, size=(256, 96), repeats=2)
    assert (speed.images, speed.words) == (3, 6)
    assert speed.image_milliseconds.wall.median == 20e3
    assert speed.image_milliseconds.process.median == 10e3
    for state, cost in zip(PASSES, (8, 2, 3), strict=True):
        # Of the three images, that of two words is the median.
        assert speed.label_milliseconds[state].wall == Spread(*[2e3 * cost] * 3)
        assert speed.label_milliseconds[state].process.median == 1e3 * cost
        assert speed.ratio[state].wall.median == pytest.approx(2 * cost / 20)
        assert speed.words_per_second[state].wall.median == pytest.approx(1 / cost)


def test_labels_of_synthesized_images(tmp_path):
    images = synthesize_images(tmp_path, 2, (192, 128))
    speed = measure_labels(images, size=(96, 64), repeats=2)
    assert speed.words == sum(len(image.words) for image in images)
    first, later, _ = (speed.words_per_second[state].process.median for state in PASSES)
    assert later > first


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda image: image.path.write_bytes(b'text'), r'1\.png is no image that OpenCV'),
        (lambda image: image.path.unlink(), r'1\.png'),
        (lambda image: image.words.pop(0), 'none of the 1 images has a word that is readable'),
    ],
)
def test_what_cannot_be_measured_is_named(images, change, message):
    change(images[0])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        measure_labels(images[:1], repeats=1)


def test_scenes_before_the_first_repeat_do_not_count(clock):
    made = []

    def synthesize(rng):
        clock.spend(100 if len(made) < 4 else 0.5)
        made.append(rng.random())

    rate = measure_synthesizer(synthesize, count=4, repeats=3)
    assert rate.wall == Spread(2, 2, 2)
    assert rate.process.median == 4
    assert len(made) == len(set(made)) == 16


def test_steps_of_a_pipeline(clock, monkeypatch):
    init_default_scope('mmocr')
    dataset = SynthesizedSceneText(
        epoch_length=5,
        size=(64, 64),
        words=['no'],
        pipeline=[
            dict(type='LoadImageFromNDArray'),
            lambda results: clock.spend(3) or results,
            dict(type='RandomApply', prob=1, transforms=[lambda r: clock.spend(4) or r]),
        ],
    )
    info = dataset.get_data_info(0)
    monkeypatch.setattr(dataset, 'get_data_info', lambda *args: clock.spend(2) or dict(info))
    speed = measure_pipeline(SeededDataset(dataset), count=3, repeats=2)
    steps = ['SynthesizedSceneText', 'LoadImageFromNDArray', 'function', 'RandomApply(function)']
    assert list(speed.milliseconds) == [*steps, 'rest']
    walls = [figure.wall.median for figure in speed.milliseconds.values()]
    assert walls == pytest.approx([2e3, 0, 3e3, 4e3, 0])
    assert list(speed.shares.values()) == pytest.approx([2 / 9, 0, 1 / 3, 4 / 9, 0])
    assert speed.samples_per_second.wall.median == pytest.approx(1 / 9)
    assert speed.samples_per_second.process.median == pytest.approx(2 / 9)


def test_synthesized_images_lie_in_the_folder(tmp_path):
    images = synthesize_images(tmp_path, 1, (128, 96))
    assert images[0].path.parent == tmp_path
    assert images[0].shape == (96, 128)
    assert cv2.imread(str(images[0].path)).shape == (96, 128, 3)


def test_batches_are_taken_over_from_workers():
    started = time.perf_counter()
    figure = measure_batches(
        [dict(inputs=torch.zeros(2))], SlowCollate(0.05), batch_size=2, count=3, repeats=2
    )
    assert 0 < figure.process.median < figure.wall.median
    assert figure.wall.high < 1e3 * (time.perf_counter() - started) / 3


class SlowCollate:
    """One for which the clock runs in the workers only."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, samples):
        assert len(samples) == 2
        time.sleep(self.seconds)
        return samples
