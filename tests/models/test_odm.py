import pytest
import torch

from odm_mmocr.datasets import Vocabulary
from odm_mmocr.structures import ODMDataSample


@pytest.fixture(scope='module')
def model(small_model):
    return small_model().eval()


def test_tensor_mode(model, make_batch):
    outputs = model(**make_batch(model, [['stop', 'exit'], ['stop']]), mode='tensor')
    assert [tuple(s.shape) for s in outputs['stages']] == [
        (2, 64, 32, 32),
        (2, 128, 16, 16),
        (2, 256, 8, 8),
        (2, 512, 4, 4),
    ]
    assert outputs['image_feature'].shape == outputs['text_feature'].shape == (2, 32)
    assert outputs['logits'].shape == (2, 1, 128, 128)


def test_without_samples_the_prompt_is_empty(model, make_batch):
    images = make_batch(model, [[]])['inputs']
    empty = model(images, make_batch(model, [[]])['data_samples'])['logits']
    torch.testing.assert_close(model(images)['logits'], empty)


def test_prompt_steers_the_drawing(model, make_batch):
    images = make_batch(model, [['stop']])['inputs']
    one, other = (
        model(images, make_batch(model, [[word]])['data_samples'])['logits']
        for word in ('stop', 'exit')
    )
    assert not torch.allclose(one, other)


def test_samples_of_a_batch_do_not_mix(model, make_batch):
    both = make_batch(model, [['stop', 'exit', 'open'], ['bank']])
    second = dict(inputs=both['inputs'][1:], data_samples=both['data_samples'][1:])
    together, alone = model(**both)['logits'][1:], model(**second)['logits']
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(256, 256), (320, 640), (64, 96)])
def test_losses_and_gradients_at_any_size(small_model, make_batch, size):
    model = small_model(loss_ocr=None)
    losses = model(**make_batch(model, [['stop', 'exit'], ['bank']], [size] * 2), mode='loss')
    assert set(losses) == {'loss_seg', 'loss_contrastive'}
    sum(losses.values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.image_encoder.backbone.conv1.weight.grad.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize('size', [(320, 640), (640, 640), (736, 1280)])
def test_large_sizes_train_and_predict(small_model, make_batch, size):
    model = small_model()
    batch = make_batch(model, [['stop']], [size])
    sum(model(**batch, mode='loss').values()).backward()
    assert model.image_encoder.backbone.conv1.weight.grad.abs().sum() > 0
    with torch.no_grad():
        (sample,) = model.eval()(**batch, mode='predict')
    assert sample.pred_destylized.probability.shape == (1, *size)


def test_checkpointing_changes_no_gradient(small_model, make_batch):
    patterns = ['image_encoder.backbone.layer*.*', 'text_controller.blocks.*', 'head']
    gradients = []
    for checkpoint in (patterns, []):
        model = small_model(checkpoint=checkpoint).double()
        batch = make_batch(model, [['stop', 'exit'], ['bank']])
        batch['inputs'] = batch['inputs'].double()
        sum(model(**batch, mode='loss').values()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_compiled_gives_the_same(small_model, make_batch):
    model, compiled = small_model(), small_model(compile_cfg=dict(backend='aot_eager'))
    for prompts in ([['stop', 'exit'], ['bank']], [['stop'], []]):
        batch = make_batch(model, prompts)
        losses, expected = (m(**batch, mode='loss') for m in (compiled, model))
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    sum(losses.values()).backward()
    assert compiled.image_encoder.backbone.conv1.weight.grad.abs().sum() > 0
    assert set(compiled.state_dict()) == set(model.state_dict())


@pytest.mark.parametrize('prompts', [[[], []], [['stop'], []]], ids=['no word', 'one without'])
def test_images_without_words(small_model, make_batch, prompts):
    model = small_model()
    losses = model(**make_batch(model, prompts), mode='loss')
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    if not any(prompts):
        assert losses['loss_contrastive'] == 0


def test_all_ignored_has_no_segmentation_loss(small_model, make_batch):
    model = small_model()
    batch = make_batch(model, [['stop'], ['exit']])
    for sample in batch['data_samples']:
        sample.gt_destylized.ignore[:] = True
    assert model(**batch, mode='loss')['loss_seg'] == 0


def test_samples_with_and_without_weights_share_a_batch(small_model, make_batch):
    """As pseudo-labelled and synthesized images do."""
    model = small_model(loss_contrastive=None).eval()
    sizes = [(100, 120), (64, 128)]

    def loss(weight):
        batch = make_batch(model, [['stop'], ['exit']], sizes)
        label = batch['data_samples'][0].gt_destylized
        if weight is not None:
            label.weight = torch.full_like(label.label, 255)
            label.weight[:, :64] = weight
        return model(**batch, mode='loss')['loss_seg']

    with torch.no_grad():
        plain = loss(None)
        assert torch.equal(loss(255), plain)
        batch = make_batch(model, [['stop'], ['exit']], sizes)
        batch['data_samples'][0].gt_destylized.ignore[:, :64] = True
        ignored = model(**batch, mode='loss')['loss_seg']
        torch.testing.assert_close(loss(0), ignored)
        assert min(plain, ignored) < loss(100) < max(plain, ignored)


def test_predict_cuts_off_the_padding(model, make_batch):
    batch = make_batch(model, [['stop'], ['exit']], [(100, 120), (64, 128)])
    assert batch['inputs'].shape == (2, 3, 128, 128)
    with torch.no_grad():
        samples = model(**batch, mode='predict')
    assert [s.pred_destylized.probability.shape for s in samples] == [(1, 100, 120), (1, 64, 128)]
    assert isinstance(samples[0], ODMDataSample)
    assert samples[0].pred_destylized.probability.min() >= 0


def test_padding_of_labels_is_ignored(model, make_batch):
    batch = make_batch(model, [['stop'], ['exit']], [(100, 120), (64, 128)])
    label = batch['data_samples'][0].gt_destylized
    assert label.ignore[:, 100:].all()
    assert label.ignore[:, :, 120:].all()
    assert not label.ignore[:, :100, :120].any()
    assert label.label.shape == (1, 128, 128)


@pytest.mark.slow
def test_learns_to_draw_what_is_prompted(small_model, make_batch):
    model = small_model(loss_seg=dict(positive_weight=4.0, dice_weight=1.0), loss_contrastive=None)
    model.train()
    batch = make_batch(model, [['stop'], ['stop', 'exit']], [(64, 64)] * 2)
    batch['inputs'][1] = batch['inputs'][0]  # only the prompt tells the two apart
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(120):
        optimizer.zero_grad()
        sum(model(**batch, mode='loss').values()).backward()
        optimizer.step()
    with torch.no_grad():
        drawn = model(**batch)['logits'] > 0
    wanted = torch.stack([s.gt_destylized.label for s in batch['data_samples']]) > 0
    assert (drawn == wanted).float().mean() > 0.96
    second_word = wanted[1] & ~wanted[0]
    assert drawn[1][second_word].float().mean() > 0.8
    assert drawn[0][second_word].float().mean() < 0.2


def test_size_must_be_a_multiple_of_the_stride(model):
    with pytest.raises(ValueError, match=r'100x128.*multiples of 32'):
        model(torch.zeros(1, 3, 100, 128))


def test_unknown_mode(model):
    with pytest.raises(ValueError, match='sing'):
        model(torch.zeros(1, 3, 64, 64), mode='sing')


@pytest.mark.parametrize(
    'other',
    [
        dict(max_characters=9),
        dict(characters='abc'),
        dict(characters=Vocabulary().characters[::-1]),
    ],
)
def test_prompts_of_another_vocabulary_are_refused(model, make_batch, other):
    batch = make_batch(model, [['stop']])
    vocabulary = Vocabulary(**{'max_characters': 12, **other})
    prompt = batch['data_samples'][0].prompt
    prompt.tokens = torch.as_tensor(vocabulary.encode(['stop'], 8)[0])
    prompt.vocabulary = vocabulary.fingerprint
    with pytest.raises(ValueError, match='the same vocabulary'):
        model(**batch)


def test_compiled_parts_cannot_be_computed_again(small_model):
    with pytest.raises(ValueError, match='give one of them'):
        small_model(checkpoint=['head'], compile_cfg={})


def test_prediction_with_attention_has_a_map_for_each_word(model, make_batch):
    batch = make_batch(model, [['stop', 'exit'], []], [(128, 96), (96, 128)])
    plain = model(
        **make_batch(model, [['stop', 'exit'], []], [(128, 96), (96, 128)]), mode='predict'
    )
    assert 'pred_attention' not in plain[0]
    samples = model.predict(batch['inputs'], batch['data_samples'], with_attention=True)
    for sample, count in zip(samples, (2, 0), strict=True):
        attention = sample.pred_attention
        assert attention.attention.shape == attention.located.shape == (count, 8, 8)
    torch.testing.assert_close(
        samples[0].pred_destylized.probability, plain[0].pred_destylized.probability
    )


def test_features_of_a_prediction_have_length_one(model, make_batch):
    first, empty = model(**make_batch(model, [['stop', 'exit'], []]), mode='predict')
    for vector in (*first.pred_features.values(), empty.pred_features.image):
        assert vector.shape == (32,)
        torch.testing.assert_close(vector.norm(), torch.tensor(1.0))
    assert not empty.pred_features.text.any()
