import torch

from odm_mmocr.datasets import Vocabulary
from odm_mmocr.models.rivals.oclip import mask_characters

VOCABULARY = Vocabulary(max_characters=12)
END, MASK = VOCABULARY.end, VOCABULARY.num_ids


def encode(words, slots=4):
    tokens, mask = VOCABULARY.encode(words, slots)
    return torch.as_tensor(tokens)[None], torch.as_tensor(mask)[None]


def test_one_known_character_of_each_shown_word_is_masked():
    tokens, mask = encode(['stop', 'é', 'aéé', 'x'])
    shown = mask & torch.tensor([True, True, True, False])
    for seed in range(20):
        torch.manual_seed(seed)
        masked, target = mask_characters(tokens, shown, END, MASK)
        hidden = masked == MASK
        assert hidden.sum(2).tolist() == [[1, 0, 1, 0]]  # nothing known in the second word
        assert torch.equal(masked[~hidden], tokens[~hidden])
        assert tokens[hidden].tolist() == target[target > 0].tolist()
        assert target[0, 0] in tokens[0, 0, :4]
        assert target[0, 2] == tokens[0, 2, 0]


def test_each_character_is_masked_as_often():
    tokens = encode(['stop'], 1)[0].repeat(1, 4000, 1)
    torch.manual_seed(0)
    masked, _ = mask_characters(tokens, torch.ones(1, 4000, dtype=torch.bool), END, MASK)
    share = (masked == MASK).float().mean((0, 1))
    assert (share[:4] - 0.25).abs().max() < 0.03
    assert not share[4:].any()


def guess(model, batch, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model(**batch)


def test_guess_depends_on_the_image_and_on_the_own_word_alone(build_rival, make_batch):
    model = build_rival('oclip').eval()
    batch = make_batch(model, [['a', 'b']], [(64, 64)])  # one way to mask each
    logits = guess(model, batch)['logits']
    other_image = dict(batch, inputs=batch['inputs'].flip(3) + 1)
    assert (guess(model, other_image)['logits'] - logits).abs().max() > 1e-3
    other_words = guess(model, make_batch(model, [['a', 'stop']], [(64, 64)]))['logits']
    torch.testing.assert_close(other_words[:, 0], logits[:, 0])


def test_what_is_masked_is_not_told(build_rival, make_batch):
    model = build_rival('oclip').eval()
    outputs = [guess(model, make_batch(model, [[word]], [(64, 64)])) for word in 'ab']
    assert outputs[0]['target'] != outputs[1]['target']
    for name in ('logits', 'text_feature'):
        assert torch.equal(outputs[0][name], outputs[1][name])


def test_places_of_the_image_matter(build_rival, make_batch):
    model = build_rival('oclip').eval()
    batch = make_batch(model, [['stop']], [(64, 64)])
    before = guess(model, batch)['logits']
    model.positions.weight.data = model.positions.weight.data.flip(0) * 10
    assert (guess(model, batch)['logits'] - before).abs().max() > 1e-4


def test_contrastive_loss_pairs_images_with_their_words(build_rival, make_batch):
    model = build_rival('oclip').eval()
    batch = make_batch(model, [['a'], ['b']], [(64, 64)] * 2)
    outputs = model(**batch)
    assert outputs['shown'].tolist() == [[True], [True]]
    torch.manual_seed(0)
    losses = model(**batch, mode='loss')
    scale = model.logit_scale.exp()
    alone = torch.nn.functional.cosine_similarity(
        outputs['image_feature'][:, None], outputs['text_feature'][None], dim=2
    )
    expected = torch.nn.functional.cross_entropy(scale * alone, torch.arange(2))
    other = torch.nn.functional.cross_entropy(scale * alone.T, torch.arange(2))
    torch.testing.assert_close(losses['loss_contrastive'], (expected + other) / 2)
    losses['loss_contrastive'].backward()
    for part in (model.image_encoder.backbone.conv1, model.word_encoder.characters):
        assert part.weight.grad.abs().sum() > 0
    assert 0 <= losses['character_accuracy'] <= 1
    assert not losses['character_accuracy'].requires_grad
