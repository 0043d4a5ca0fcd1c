import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, LabelData

from odm_mmocr.models.word_places import (
    collect_places,
    deal_words,
    middle_points,
    pool_places,
)
from odm_mmocr.structures import ODMDataSample

QUAD = [0, 10, 100, 10, 100, 30, 0, 30]


def sample(prompt, texts, prompted, polygons=None):
    result = ODMDataSample()
    result.prompt = LabelData(texts=prompt)
    result.gt_instances = InstanceData(
        texts=texts,
        polygons=polygons or [np.array(QUAD, np.float32)] * len(texts),
        prompted=torch.tensor(prompted, dtype=torch.bool),
    )
    return result


def test_points_run_along_the_middle_in_reading_order():
    np.testing.assert_allclose(middle_points(QUAD), [(x, 20) for x in (10, 30, 50, 70, 90)])
    turned = QUAD[4:] + QUAD[:4]
    np.testing.assert_allclose(middle_points(turned), middle_points(QUAD)[::-1])
    assert middle_points([0, 0, 1, 1, 2, 2]) is None


def test_places_and_words_of_a_batch():
    places = collect_places(
        [
            sample(['stop', 'noise'], ['stop', 'exit', 'stop'], [True, False, True]),
            sample(['bank', 'stop'], ['bank'], [True]),
            sample([], ['exit', 'bank'], [False, False]),
        ]
    )
    words = [('stop', 0, 0), ('noise', 0, 1), ('bank', 1, 0)]
    assert list(zip(places.samples.tolist(), places.slots.tolist())) == [w[1:] for w in words]
    assert places.target.tolist() == [[0, 0], [2, -1], [2, -1]]
    assert places.counts == [3]
    assert places.points.isfinite().all(-1).all(-1).tolist() == (places.target >= 0).tolist()


def test_ignored_instances_are_no_places():
    one = sample(['stop', 'exit'], ['stop', 'exit'], [True, True])
    one.gt_instances.ignored = torch.tensor([True, False])
    assert collect_places([one]).target.tolist() == [[1]]


def test_no_word_at_all():
    places = collect_places([sample([], [], [])])
    assert places.points.shape == (1, 0, 5, 2)
    assert len(places.samples) == 0


def test_a_word_is_left_to_the_first_process_that_has_it():
    words = [['stop', 'exit'], [], ['bank', 'exit', 'open'], ['open', 'stop']]
    assert deal_words(words) == [['stop', 'exit'], [], ['bank', 'open'], []]


def test_pooling_averages_what_lies_under_the_points():
    column = torch.arange(8.0).repeat(4, 1)
    tokens = torch.stack([column, 10 - column])[None]  # (1, 2, 4, 8), a cell is 16 pixels
    points = torch.tensor([[[[40.0, 30], [60, 30]], [[40, 30], [-90, 30]], [[999, 0], [0, 999]]]])
    pooled, visible = (part[0] for part in pool_places(tokens, points, (64, 128)))
    assert visible.tolist() == [True, True, False]
    at = [(x + 0.5) / 16 - 0.5 for x in (40, 60)]
    expected = [sum(at) / 2, at[0], 0]
    torch.testing.assert_close(pooled[:, 0], torch.tensor(expected))
    torch.testing.assert_close(pooled[:2, 1], 10 - pooled[:2, 0])


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_values_and_gradients_of_pytorch(dtype):
    size = (60, 100)
    tokens = torch.randn(2, 3, 4, 6).to(dtype)
    points = torch.rand(2, 5, 7, 2) * torch.tensor([size[1], size[0]]) * 1.2 - 6
    points[0, 1], points[1, 2, 3] = float('nan'), float('nan')
    points[0, 0, 0] = torch.tensor([-0.5, 59.5])  # the very corner
    ours, theirs = tokens.clone().requires_grad_(), tokens.float().requires_grad_()
    drawn, visible = pool_places(ours, points, size)
    assert drawn.dtype == dtype

    grid = (2 * points + 1) / torch.tensor([size[1], size[0]]) - 1
    inside = (grid.abs() <= 1).all(-1)
    values = F.grid_sample(
        theirs, grid.nan_to_num(0), padding_mode='border', align_corners=False
    )  # (B, C, N, P)
    total = (values * inside[:, None]).sum(3) / inside.sum(2)[:, None].clamp(min=1)
    wanted = total.transpose(1, 2)
    near = dict(rtol=1e-4, atol=1e-5) if dtype == torch.float32 else dict(rtol=1e-2, atol=1e-2)
    assert torch.equal(visible, inside.any(2))
    torch.testing.assert_close(drawn.float(), wanted, **near)
    weights = torch.randn_like(wanted)
    (drawn * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(ours.grad.float(), theirs.grad, **near)


@pytest.mark.parametrize('prompts', [[['stop', 'exit'], ['bank']], [['stop'], []], [[], []]])
def test_loss_of_a_model(small_model, make_batch, prompts):
    model = small_model(loss_word=dict(type='WordContrastiveLoss'), loss_contrastive=None)
    batch = make_batch(model, prompts)
    for one, prompt in zip(batch['data_samples'], prompts, strict=True):
        one.gt_instances = sample(prompt, prompt, [True] * len(prompt)).gt_instances
    loss = model(**batch, mode='loss')['loss_word']
    loss.backward()
    count = len({text for prompt in prompts for text in prompt})
    expected = np.log(count) if count > 1 else 0
    assert loss.item() == pytest.approx(expected, abs=0.5)
    gradient = model.image_encoder.backbone.conv1.weight.grad
    assert (gradient.abs().sum() > 0) == (count > 1)


def test_scores_belong_to_the_words_at_their_places(small_model, make_batch, monkeypatch):
    model = small_model(loss_word=dict(type='WordContrastiveLoss'))
    prompts = [['noise', 'stop'], ['bank', 'exit']]
    batch = make_batch(model, prompts)['data_samples']
    batch[0].gt_instances = sample(prompts[0], ['stop'], [True]).gt_instances
    away = np.array(QUAD, np.float32) + 999
    polygons = [np.array(QUAD, np.float32), away]
    batch[1].gt_instances = sample(prompts[1], ['exit', 'bank'], [True] * 2, polygons).gt_instances
    # Vectors of words and places that say which word they are of: number 10 b + slot.
    vectors = torch.tensor([[[0.0], [1]], [[10], [11]]])
    tokens = torch.tensor([1.0, 11]).view(2, 1, 1, 1).expand(-1, 1, 4, 8)
    monkeypatch.setattr(
        model.text_controller, 'score_words', lambda f, w: -(f - w.transpose(-1, -2)).abs()
    )
    outputs = dict(image_tokens=tokens, words=vectors)
    scores, target = model.score_places(outputs, batch, (64, 128))
    assert target.tolist() == [[1, -1], [3, -1]]  # what is out of view has no place
    assert scores[:, 0].argmax(-1).tolist() == [1, 3]
    assert scores[:, 0].amax(-1).tolist() == [0, 0]


def test_without_contrastive_loss_no_parameter_waits_for_a_gradient(small_model, make_batch):
    model = small_model(loss_contrastive=None)
    sum(model(**make_batch(model, [['stop'], ['exit']]), mode='loss').values()).backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_word_loss_needs_match(small_model):
    with pytest.raises(ValueError, match='match=True'):
        small_model(text_controller=dict(match=False), loss_word=dict(type='WordContrastiveLoss'))
