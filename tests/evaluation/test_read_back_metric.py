import numpy as np
import pytest
import torch

from odm_mmocr.evaluation import ReadBackMetric
from odm_mmocr.rendering import render_label

pytest.importorskip('rapidocr_onnxruntime', reason='the extra "ppocr" reads')

# Two words of 12 and 24 pixels, the larger one turned by a quarter, and one that is not prompted.
POLYGONS = [
    np.array([10, 10, 70, 10, 70, 22, 10, 22], np.float32),
    np.array([150, 10, 150, 110, 126, 110, 126, 10], np.float32),
    np.array([10, 80, 100, 80, 100, 104, 10, 104], np.float32),
]
TEXTS = ['coffee', 'museum', 'hotel']


def sample(drawn_texts, texts=TEXTS):
    label = render_label(POLYGONS[:2], texts[:2], (120, 160))
    drawn = render_label(POLYGONS[:2], drawn_texts, (120, 160))
    return dict(
        pred_destylized=dict(probability=torch.from_numpy(drawn)[None] / 255),
        gt_destylized=dict(label=torch.from_numpy(label)[None]),
        gt_instances=dict(
            polygons=POLYGONS, texts=texts, prompted=torch.tensor([True, True, False])
        ),
    )


@pytest.fixture(scope='module')
def metric():
    return ReadBackMetric()


def evaluate(metric, *samples):
    metric.process([], samples)
    return metric.evaluate(len(samples))


def test_words_are_right_where_they_are_drawn_right(metric):
    figures = evaluate(metric, sample(['coffee', 'museum']), sample(['coffee', 'closed']))
    assert figures == {
        'odm/read': 3 / 4, 'odm/readable': 1,
        'odm/read_small': 1, 'odm/readable_small': 1,
        'odm/read_medium': 1 / 2, 'odm/readable_medium': 1,
    }  # fmt: skip


def test_words_that_cannot_be_compared_are_left_out(metric):
    figures = evaluate(metric, sample(['!!!', 'museum'], ['!!!', 'museum', 'hotel']))
    assert figures['odm/read'] == 1
    assert 'odm/read_small' not in figures


def test_nothing_drawn_is_nothing_read(metric):
    blank = sample(['coffee', 'museum'])
    blank['pred_destylized']['probability'].zero_()
    figures = evaluate(metric, blank)
    assert figures['odm/read'] == 0 and figures['odm/readable'] == 1
