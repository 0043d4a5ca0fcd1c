import numpy as np
import pytest
import torch

from odm_mmocr.evaluation import DestylizationMetric, PromptControlMetric


def sample(drawn, label, dropped, ignore=None, polygons=(), prompted=()):
    """A sample of one row of pixels, each map given as a string of 0 and 1."""
    row = {
        name: torch.tensor([int(c) for c in text]).view(1, 1, -1)
        for name, text in dict(drawn=drawn, label=label, dropped=dropped).items()
    }
    ignored = torch.tensor([int(c) for c in ignore or '0' * len(label)]).view(1, 1, -1).bool()
    return dict(
        pred_destylized=dict(probability=0.1 + 0.8 * row['drawn']),
        gt_destylized=dict(
            label=(255 * row['label']).to(torch.uint8),
            dropped=(255 * row['dropped']).to(torch.uint8),
            ignore=ignored,
        ),
        gt_instances=dict(polygons=list(polygons), prompted=torch.tensor(prompted, dtype=bool)),
    )


SAMPLES = [
    #      drawn       prompted    dropped     ignored
    sample('11101000', '11110000', '00001100', '00000001'),
    sample('00110011', '00110000', '01100000', '00000011'),
]


def evaluate(metric, samples=SAMPLES):
    for one in samples:
        metric.process([], [one])
    return metric.evaluate(len(samples))


def test_destylization_by_hand():
    # drawn 4 + 2, wanted 4 + 2, both 3 + 2; the two ignored pixels that are drawn do not count
    figures = evaluate(DestylizationMetric())
    expected = dict(precision=5 / 6, recall=5 / 6, fscore=5 / 6, iou=5 / 7)
    assert figures == pytest.approx(
        {
            **{f'odm/{name}': value for name, value in expected.items()},
            # .9 and .1 are all probabilities: every threshold between them is as good
            **{f'odm/best_{name}': value for name, value in expected.items()},
            'odm/best_threshold': 13 / 128,
        }
    )


def test_prompt_control_by_hand():
    # dropped ink under prompted ink counts as prompted: 2 + 1 pixels of dropped ink, one drawn
    figures = evaluate(PromptControlMetric(margin=0))
    assert figures == pytest.approx(
        {
            'odm/kept': 5 / 6,
            'odm/leak': 1 / 3,
            'odm/hallucinated': 0,
            'odm/control': 5 / 6 - 1 / 3,
        }
    )


@pytest.mark.parametrize(('margin', 'outside'), [(0, 3), (1, 2), (4, 0)])
def test_ink_outside_every_word_and_its_margin_is_hallucinated(margin, outside):
    word = np.array([0, 0, 3, 0, 3, 0, 0, 0], np.float32)
    drawn = sample('11001110', '11000000', '00000000', '00000000', [word], [False])
    figures = evaluate(PromptControlMetric(margin=margin), [drawn])
    assert figures['odm/hallucinated'] == pytest.approx(outside / 5)


@pytest.mark.parametrize(
    ('drawn', 'control'),
    [
        ('11110000', 1),  # the prompted word alone
        ('11111111', 0),  # all words
        ('11001100', 0),  # half of each
        ('00001111', 0),  # the wrong one
        ('00000000', 0),  # nothing
    ],
)
def test_control_is_one_for_obedience_and_zero_without(drawn, control):
    one = sample(drawn, '11110000', '00001111')
    assert evaluate(PromptControlMetric(), [one])['odm/control'] == control


def scenes(count, size=(96, 80), seed=0):
    """Random samples: boxes of three text heights, some of them prompted.

    How much ink there is, and how much of it is drawn, is different in the boxes of each height,
    in boxes that are not prompted, at the border of all boxes, and outside.
    """
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        polygons, prompted = [], []
        ink, skill = np.full(size, 0.02), np.full(size, 0.1)
        top = rng.uniform(4, 6)
        for height, share in zip((6, 20, 36), (0.2, 0.4, 0.6)):
            is_prompted = bool(rng.random() < 0.6)
            left = rng.uniform(4, 16)
            box = [left, top, left + 50, top, left + 50, top + height, left, top + height]
            rows, columns = (slice(int(a), int(b)) for a, b in ((top, top + height), box[:3:2]))
            for margin, values in ((3, (0.1, 0.3)), (0, (share, share if is_prompted else 0.9))):
                around = tuple(slice(s.start - margin, s.stop + margin) for s in (rows, columns))
                ink[around], skill[around] = values
            polygons.append(np.array(box, np.float32))
            prompted.append(is_prompted)
            top += height + 8
        wanted = rng.random(size) < ink
        probability = np.where(rng.random(size) < skill, wanted, rng.random(size)) * 0.6 + 0.2
        probability += rng.uniform(-0.2, 0.2, size)
        maps = dict(
            label=torch.from_numpy(np.where(wanted, 255, 0).astype(np.uint8))[None],
            dropped=torch.zeros(1, *size, dtype=torch.uint8),
            ignore=torch.from_numpy(rng.random((1, *size)) < 0.1),
        )
        made.append(
            dict(
                pred_destylized=dict(probability=torch.from_numpy(probability)[None]),
                gt_destylized=maps,
                gt_instances=dict(polygons=polygons, prompted=torch.tensor(prompted)),
            )
        )
    return made


def pool(samples, threshold, group=None, margin=3):
    """Drawn and wanted pixels of all samples side by side, in the boxes of one text height."""
    pairs = []
    for one in samples:
        maps = one['gt_destylized']
        region = ~maps['ignore'][0].numpy()
        if group is not None:
            rows, columns = np.mgrid[: region.shape[0], : region.shape[1]]
            near = np.zeros_like(region)
            for polygon, prompted in zip(
                one['gt_instances']['polygons'], one['gt_instances']['prompted'].tolist()
            ):
                height = polygon[5] - polygon[1]
                if prompted and group[0] <= height < group[1]:
                    (left, top), (right, bottom) = polygon[:2], polygon[4:6]
                    # A pixel whose square the polygon touches belongs to it.
                    near |= (
                        (columns >= np.rint(left) - margin) & (columns <= np.rint(right) + margin)
                        & (rows >= np.rint(top) - margin) & (rows <= np.rint(bottom) + margin)
                    )  # fmt: skip
            region &= near
        drawn = one['pred_destylized']['probability'][0].numpy() >= threshold
        pairs.append((drawn[region], maps['label'][0].numpy()[region] >= 30))
    return [np.concatenate(side) for side in zip(*pairs)]


def direct(drawn, wanted):
    both = (drawn & wanted).sum()
    return dict(
        precision=both / drawn.sum(),
        recall=both / wanted.sum(),
        fscore=2 * both / (drawn.sum() + wanted.sum()),
        iou=both / (drawn | wanted).sum(),
    )


def test_figures_are_those_of_a_direct_computation():
    samples = scenes(12)
    figures = evaluate(DestylizationMetric(threshold=0.3, margin=3, bounds=(10, 30)), samples)
    best = max(range(128), key=lambda k: direct(*pool(samples, k / 128))['fscore']) / 128
    assert figures['odm/best_threshold'] == best
    groups = dict(small=(0, 10), medium=(10, 30), large=(30, 99))
    for way, threshold in (('', 0.3), ('best_', best)):
        for key, value in direct(*pool(samples, threshold)).items():
            assert figures[f'odm/{way}{key}'] == pytest.approx(value)
        for name, group in groups.items():
            for key, value in direct(*pool(samples, threshold, group)).items():
                assert figures[f'odm/{way}{name}_{key}'] == pytest.approx(value, abs=2e-3)
    assert len(figures) == 33


def test_a_text_height_without_words_has_no_figures():
    figures = evaluate(DestylizationMetric(bounds=(1, 2)), scenes(4))
    assert 'odm/large_fscore' in figures
    assert not [name for name in figures if 'small' in name or 'medium' in name]


def test_label_of_the_padded_batch_is_cut_to_the_prediction():
    padded = sample('1100', '110000', '000011', '000011')
    metric = PromptControlMetric()
    metric.process([], [padded])
    assert metric.results[0].tolist() == [2, 2, 0, 0, 2, 0]


def test_nothing_to_measure_is_not_a_number():
    metric = DestylizationMetric()
    metric.process([], [sample('0000', '0000', '0000')])
    assert all(value != value for value in metric.evaluate(1).values())


def test_leak_without_a_map_of_dropped_words_is_an_error():
    unknown = sample('1', '1', '0')
    del unknown['gt_destylized']['dropped']
    with pytest.raises(ValueError, match='with_dropped=True'):
        PromptControlMetric().process([], [unknown])


@pytest.mark.parametrize(
    'settings', [dict(threshold=1.5), dict(margin=-1), dict(bounds=(32, 16)), dict(bounds=(8,))]
)
def test_settings_out_of_range_are_errors(settings):
    with pytest.raises(ValueError, match=str(next(iter(settings)))):
        DestylizationMetric(**settings)
