"""Hand-worked cases of the end-to-end protocol."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmocr.evaluation import HmeanIOUMetric
from mmocr.registry import METRICS
from mmocr.structures import TextDetDataSample

from odm_mmocr.evaluation.end_to_end import (
    EndToEndMetric,
    Overlaps,
    match_words,
    same_transcription,
    spotted_word,
)


def box(left: float, top: float = 0, width: float = 100, height: float = 20) -> np.ndarray:
    right, bottom = left + width, top + height
    return np.array([left, top, right, top, right, bottom, left, bottom], float)


def sample(truth: list, found: list, name: str = 'img_1.jpg') -> dict:
    """An image of (polygon, text) of the ground truth, (polygon, text, score) of predictions."""
    return dict(
        img_path=f'test/{name}',
        gt_instances=dict(
            polygons=[polygon for polygon, _ in truth],
            texts=[text for _, text in truth],
            ignored=torch.tensor([text == '###' for _, text in truth], dtype=torch.bool),
        ),
        pred_instances=dict(
            polygons=[polygon for polygon, _, _ in found],
            texts=[text for _, text, _ in found],
            scores=torch.tensor([score for _, _, score in found]),
        ),
    )


def judge(*samples: dict, **settings) -> dict:
    metric = EndToEndMetric(**settings)
    metric.process([], list(samples))
    figures = metric.evaluate(len(samples))
    return {name.removeprefix('e2e/'): value for name, value in figures.items()}


def shares(figures: dict, group: str = 'none') -> tuple[float, float]:
    return figures[f'{group}_precision'], figures[f'{group}_recall']


CASES = {
    # One word, found where it is and read right: 1 of 1 found, 1 of 1 annotated.
    'exact': ([(box(0), 'open')], [(box(0), 'open', 0.9)], (1, 1), (1, 1)),
    'case_does_not_count': ([(box(0), 'Open')], [(box(0), 'oPEN', 0.9)], (1, 1), (1, 1)),
    # A pair of places whose texts differ: detected, but neither precise nor recalled.
    'right_place_wrong_text': ([(box(0), 'open')], [(box(0), 'oven', 0.9)], (1, 1), (0, 0)),
    'right_text_wrong_place': ([(box(0), 'open')], [(box(0, 50), 'open', 0.9)], (0, 0), (0, 0)),
    # ### is not to be found (1 word is annotated), and what is found on it is no mistake.
    'unreadable_words_do_not_count': (
        [(box(0), 'open'), (box(0, 50), '###')],
        [(box(0), 'open', 0.9), (box(0, 50), 'anything', 0.9)],
        (1, 1),
        (1, 1),
    ),
    # 51 of its 100 pixels of width lie on ###: ignored. 49 of them: one of two predictions wrong.
    'mostly_on_unreadable_is_ignored': (
        [(box(0), 'open'), (box(200), '###')],
        [(box(0), 'open', 0.9), (box(151), 'x', 0.9), (box(149), 'y', 0.9)],
        (1 / 2, 1),
        (1 / 2, 1),
    ),
    # Halves of a prediction on two unreadable words: neither has more than half of it.
    'shares_on_several_unreadable_words_do_not_add_up': (
        [(box(0), '###'), (box(100), '###')],
        [(box(50), 'open', 0.9)],
        (0, 0),
        (0, 0),
    ),
    # A readable word within a larger unreadable one: its prediction lies on the latter, is
    # ignored, and hence cannot find the word.
    'ignored_predictions_find_nothing': (
        [(box(0), 'open'), (box(0, 0, 200, 40), '###')],
        [(box(0), 'open', 0.9)],
        (0, 0),
        (0, 0),
    ),
    # Of two predictions at one word one is a pair, the other is wrong: 1 of 2.
    'duplicates_are_wrong': (
        [(box(0), 'open')],
        [(box(0), 'open', 0.9), (box(1), 'open', 0.8)],
        (1 / 2, 1),
        (1 / 2, 1),
    ),
    # The surer one takes the word, though the other has read it right: places alone are paired.
    'the_surest_duplicate_takes_the_word': (
        [(box(0), 'open')],
        [(box(0), 'open', 0.7), (box(1), 'oven', 0.9)],
        (1 / 2, 1),
        (0, 0),
    ),
    # One prediction over two words of 45 of its 100 pixels each: IoU .45 with both.
    'a_line_is_no_word': (
        [(box(0, 0, 45), 'no'), (box(55, 0, 45), 'smoking')],
        [(box(0), 'no smoking', 0.9)],
        (0, 0),
        (0, 0),
    ),
    # Boxes 100 wide, shifted by d: IoU (100 - d) / (100 + d); 33: .504, 34: .493.
    'iou_just_above_a_half': ([(box(0), 'open')], [(box(33), 'open', 0.9)], (1, 1), (1, 1)),
    'iou_just_below_a_half': ([(box(0), 'open')], [(box(34), 'open', 0.9)], (0, 0), (0, 0)),
    # Half of the box is found: IoU of exactly .5, which is not above it.
    'iou_of_a_half': ([(box(0), 'open')], [(box(0, 0, 50), 'open', 0.9)], (0, 0), (0, 0)),
    # Without a text it is no spotted word: 1 of 1 precise; as detection it is one of two wrong.
    'without_text_it_is_no_spotted_word': (
        [(box(0), 'open')],
        [(box(0), 'open', 0.9), (box(0, 50), '', 0.9)],
        (1 / 2, 1),
        (1, 1),
    ),
    # At the threshold of .5 the second word is not found.
    'below_the_threshold_it_is_not_there': (
        [(box(0), 'open'), (box(0, 50), 'exit')],
        [(box(0), 'open', 0.5), (box(0, 50), 'exit', 0.49)],
        (1, 1 / 2),
        (1, 1 / 2),
    ),
    'empty_image': ([], [], (0, 0), (0, 0)),
    'nothing_found': ([(box(0), 'open')], [], (0, 0), (0, 0)),
    'nothing_annotated': ([], [(box(0), 'open', 0.9)], (0, 0), (0, 0)),
    'only_unreadable_words': ([(box(0), '###')], [(box(0), 'open', 0.9)], (0, 0), (0, 0)),
    'without_area': ([(box(0), 'open')], [(box(0, 0, 0), 'open', 0.9)], (0, 0), (0, 0)),
}


@pytest.mark.parametrize('name', CASES)
def test_hand_worked(name):
    truth, found, detection, spotting = CASES[name]
    figures = judge(sample(truth, found))
    assert shares(figures, 'detection') == pytest.approx(detection)
    assert shares(figures) == pytest.approx(spotting)


def test_counts_are_pooled_over_images():
    # 3 words and 4 predictions in all, 2 right: 2/4, 2/3, and 2 * 2 / (3 + 4) of both.
    first = sample([(box(0), 'a1')], [(box(0), 'a1', 0.9), (box(0, 50), 'b', 0.9)])
    second = sample(
        [(box(0), 'c1'), (box(0, 50), 'd1')], [(box(0), 'c1', 0.9), (box(0, 50), 'x', 0.9)]
    )
    empty = sample([(box(0), '###')], [(box(0), 'open', 0.9)])
    figures = judge(first, empty, second)
    assert shares(figures) == pytest.approx((2 / 4, 2 / 3))
    assert figures['none_hmean'] == pytest.approx(4 / 7)
    assert shares(figures, 'detection') == pytest.approx((3 / 4, 1))


@pytest.mark.parametrize(
    ('annotated', 'read', 'same'),
    [
        ('(Open)', 'open', True),  # one at each end may be left out
        ('(Open)', 'open)', True),
        ('(Open)', '(open', True),
        ('(Open)', '(open)', True),
        ('"(Open', 'open', False),  # two at one end may not
        ('"(Open', '(open', True),
        ('Open', 'open.', False),  # nor may any be added
        ("don't", 'dont', False),  # nor any within be left out
        ('-open', 'open', False),  # a hyphen is none of them
        ('5€', '5', False),
        ('!', '!', True),
        ('', 'open', False),
    ],
)
def test_punctuation(annotated, read, same):
    assert same_transcription(annotated, read) == same


@pytest.mark.parametrize(
    ('annotated', 'word'),
    [
        ("Anna's", 'Anna'),
        ('-Exit-', 'Exit'),
        ('(Café)', 'Café'),
        ('no-one', 'no-one'),
        ('at', None),
        ('24h', None),
        ('a/c', None),
        ("don't", None),
        ('汽配店', None),
        ('a×b', None),
    ],
)
def test_words_of_the_word_spotting_protocol(annotated, word):
    assert spotted_word(annotated) == word


def test_word_spotting_asks_for_words_only():
    # "24h" is no word: what is found on it is ignored. "Anna's" must be read as "Anna".
    truth = [(box(0), '24h'), (box(0, 50), "Anna's"), (box(0, 100), '(exit)')]
    found = [
        (box(0), 'whatever', 0.9),
        (box(0, 50), 'anna', 0.9),
        (box(0, 100), '(exit)', 0.9),
    ]
    figures = judge(sample(truth, found), word_spotting=True)
    assert shares(figures) == pytest.approx((1 / 2, 1 / 2))
    assert shares(figures, 'detection') == (1, 1)
    assert shares(judge(sample(truth, found))) == pytest.approx((1 / 3, 1 / 3))


def test_a_lexicon_mends_and_breaks(tmp_path):
    (tmp_path / 'words.txt').write_text('open\nexit\nhouse\n')
    truth = [(box(0), 'open'), (box(0, 50), 'exits'), (box(0, 100), 'P2')]
    found = [
        (box(0), 'op3n', 0.9),  # one edit from "open": mended
        (box(0, 50), 'exits', 0.9),  # right, but not listed: becomes "exit", which is wrong
        (box(0, 100), 'P2', 0.9),  # right, and near to nothing: dropped
    ]
    figures = judge(sample(truth, found), lexicons=dict(generic=tmp_path / 'words.txt'))
    assert shares(figures) == pytest.approx((2 / 3, 2 / 3))
    assert shares(figures, 'generic') == pytest.approx((1 / 2, 1 / 3))
    assert shares(figures, 'detection') == (1, 1)


def test_what_a_lexicon_drops_frees_its_word(tmp_path):
    # The surer duplicate has read nothing of the lexicon, so that the other one takes the word.
    (tmp_path / 'words.txt').write_text('open\n')
    found = [(box(0), 'zzz', 0.9), (box(1), 'open', 0.8)]
    figures = judge(sample([(box(0), 'open')], found), lexicons=dict(w=tmp_path / 'words.txt'))
    assert shares(figures) == (0, 0)
    assert shares(figures, 'w') == (1, 1)


def test_each_image_has_its_lexicon(tmp_path):
    (tmp_path / 'voc_img_1.txt').write_text('open\n')
    (tmp_path / 'voc_img_2.txt').write_text('oven\n')
    found = [(box(0), 'o0en', 0.9)]
    samples = [
        sample([(box(0), 'open')], found),
        sample([(box(0), 'oven')], found, name='img_2.jpg'),
    ]
    assert shares(judge(*samples, lexicons=dict(strong=tmp_path)), 'strong') == (1, 1)
    with pytest.raises(FileNotFoundError, match=r'no lexicon for img_3\.jpg: .*voc_img_3\.txt'):
        judge(sample([], [], name='img_3.jpg'), lexicons=dict(strong=tmp_path))


def test_the_best_threshold_is_that_of_each_group():
    truth = [(box(0), 'one'), (box(0, 50), 'two'), (box(0, 100), 'three')]
    found = [
        (box(0), 'one', 0.85),
        (box(0, 50), 'two', 0.65),
        (box(0, 100), 'wrong', 0.45),
        (box(0, 150), 'nothing', 0.35),
    ]
    figures = judge(sample(truth, found))
    # Detection: 3 of 3 found, none wrong, at .4. End-to-end: 2 found of 3, none wrong, at .5.
    assert figures['best_detection_threshold'] == 0.4
    assert figures['best_detection_hmean'] == 1
    assert figures['best_none_threshold'] == 0.5
    assert figures['best_none_hmean'] == pytest.approx(2 * 2 / 5)
    stricter = judge(sample(truth, found), score_threshold=0.7)
    assert shares(stricter) == pytest.approx((1, 1 / 3))
    assert stricter['best_none_hmean'] == figures['best_none_hmean']


def test_unsure_readings_are_none():
    image = sample([(box(0), 'open')], [(box(0), 'open', 0.9), (box(0, 50), 'x', 0.9)])
    image['pred_instances']['text_scores'] = [0.9, 0.3]
    assert shares(judge(image)) == (1 / 2, 1)
    assert shares(judge(image, min_text_score=0.5)) == (1, 1)


def test_a_higher_threshold_leaves_the_other_pairs():
    rng = np.random.default_rng(0)
    words = [box(*rng.uniform(0, 120, 2), 60, 40) for _ in range(8)]
    found = [box(*rng.uniform(0, 120, 2), 60, 40) for _ in range(60)]
    scores = rng.random(60)
    ignored = np.arange(8) == 3
    overlaps = Overlaps.of(words, found)
    every = match_words(overlaps, ignored, scores)
    assert (every.words >= 0).sum() > 3
    for threshold in (0.3, 0.6, 0.9):
        kept = scores >= threshold
        fewer = match_words(
            Overlaps(overlaps.iou[:, kept], overlaps.covered[:, kept]), ignored, scores[kept]
        )
        np.testing.assert_array_equal(fewer.words, every.words[kept])
        np.testing.assert_array_equal(fewer.ignored, every.ignored[kept])


def test_the_detection_is_what_mmocr_measures():
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(6):
        truth = [
            (box(*rng.uniform(0, 300, 2)), '###' if rng.random() < 0.3 else 'a') for _ in range(9)
        ]
        scores = np.sort(rng.random(14))[::-1].round(2) + 0.005
        # Near the words, some of them twice; the surest first, as it takes the first.
        places = [truth[rng.integers(9)][0] + np.tile(rng.normal(0, 8, 2), 4) for _ in scores]
        samples.append(
            sample(truth, [(place, 'a', float(s)) for place, s in zip(places, scores, strict=True)])
        )
    figures = judge(*samples)
    reference = HmeanIOUMetric()
    reference.process([], samples)
    expected = reference.evaluate(6)
    for figure in ('precision', 'recall', 'hmean'):
        assert 0.1 < expected[f'icdar/{figure}'] < 0.9
        assert figures[f'best_detection_{figure}'] == pytest.approx(expected[f'icdar/{figure}'])


def test_curved_polygons_overlap_by_their_area():
    angle = np.linspace(np.pi, 0, 9)
    circle = np.stack((np.cos(angle), -np.sin(angle)), -1)
    arc = np.concatenate((100 * circle, 60 * circle[::-1])) + 120
    overlaps = Overlaps.of([arc], [arc.ravel(), arc * 1.0 + (0, 200), box(20, 20, 200, 100)])
    np.testing.assert_allclose(overlaps.iou[0, :2], [1, 0], atol=1e-9)
    # A half ring of radii 60 and 100 in its bounding box of 200 x 100.
    assert overlaps.iou[0, 2] == pytest.approx(np.pi * (1 - 0.36) / 4, abs=0.03)


def test_it_takes_the_data_samples_of_mmocr():
    given = sample([(box(0), 'open')], [(box(0), 'open', 0.9)])
    data_sample = TextDetDataSample(metainfo=dict(img_path=given['img_path']))
    data_sample.gt_instances = InstanceData(**given['gt_instances'])
    data_sample.pred_instances = InstanceData(**given['pred_instances'])
    with DefaultScope.overwrite_default_scope('mmocr'):
        metric = METRICS.build(dict(type='EndToEndMetric', prefix='mine'))
    metric.process([], [data_sample.to_dict()])
    assert metric.evaluate(1)['mine/none_hmean'] == 1


def test_what_a_sample_lacks_is_named():
    good = sample([(box(0), 'open')], [(box(0), 'open', 0.9)])
    cases = {
        'img_1.jpg: gt_instances has no texts; load the texts': ('gt_instances', 'texts', None),
        'img_1.jpg: pred_instances has no texts; a detector': ('pred_instances', 'texts', None),
        'pred_instances has 1 polygons, 1 scores, 2 texts': ('pred_instances', 'texts', ['a', 'b']),
        '2 text_scores of 1 predictions': ('pred_instances', 'text_scores', [1.0, 1.0]),
    }
    for message, (part, name, value) in cases.items():
        wrong = dict(good, **{part: dict(good[part], **{name: value})})
        with pytest.raises(ValueError, match=message):
            judge(wrong)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(score_threshold=1.5), 'score_threshold: expected numbers from 0 to 1'),
        (dict(thresholds=()), 'thresholds: expected numbers'),
        (dict(min_text_score=-1), 'min_text_score'),
        (dict(lexicons=dict(none='x.txt')), 'no lexicon may be called none'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        EndToEndMetric(**settings)
