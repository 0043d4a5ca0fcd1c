import pytest
import torch

from odm_mmocr.evaluation import DestylizationMetric, PromptControlMetric


def sample(drawn, label, dropped, ignore=None):
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
    )


SAMPLES = [
    #      drawn       prompted    dropped     ignored
    sample('11101000', '11110000', '00001100', '00000001'),
    sample('00110011', '00110000', '01100000', '00000011'),
]


def evaluate(metric):
    for one in SAMPLES:
        metric.process([], [one])
    return metric.evaluate(len(SAMPLES))


def test_destylization_by_hand():
    # drawn 4 + 2, wanted 4 + 2, both 3 + 2; the two ignored pixels that are drawn do not count
    figures = evaluate(DestylizationMetric())
    assert figures == pytest.approx(
        {
            'odm/precision': 5 / 6,
            'odm/recall': 5 / 6,
            'odm/fscore': 5 / 6,
            'odm/iou': 5 / 7,
        }
    )


def test_prompt_control_by_hand():
    # dropped ink under prompted ink counts as prompted: 2 + 1 pixels of dropped ink, one drawn
    figures = evaluate(PromptControlMetric())
    assert figures == pytest.approx(
        {'odm/kept': 5 / 6, 'odm/leak': 1 / 3, 'odm/control': 5 / 6 - 1 / 3}
    )


def test_label_of_the_padded_batch_is_cut_to_the_prediction():
    padded = sample('1100', '110000', '000011', '000011')
    metric = PromptControlMetric()
    metric.process([], [padded])
    assert metric.results == [dict(prompted=2, kept=2, dropped=0, leaked=0)]


def test_nothing_to_measure_is_not_a_number():
    metric = DestylizationMetric()
    metric.process([], [sample('0000', '0000', '0000')])
    assert all(value != value for value in metric.evaluate(1).values())


def test_leak_without_a_map_of_dropped_words_is_an_error():
    unknown = sample('1', '1', '0')
    del unknown['gt_destylized']['dropped']
    with pytest.raises(ValueError, match='with_dropped=True'):
        PromptControlMetric().process([], [unknown])
