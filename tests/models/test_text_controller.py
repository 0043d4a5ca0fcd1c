import pytest
import torch
from mmocr.registry import MODELS, TASK_UTILS

VOCABULARY = dict(type='Vocabulary', max_characters=8)


@pytest.fixture(scope='module')
def vocabulary():
    return TASK_UTILS.build(VOCABULARY)


def controller(**settings):
    torch.manual_seed(0)
    sizes = dict(embed_dims=16, depth=2, num_heads=2, word_dims=8, word_depth=2, word_heads=2)
    return MODELS.build(
        dict(type='TextController', vocabulary=VOCABULARY, grid=(2, 3), **{**sizes, **settings})
    ).eval()


def encode(vocabulary, words, max_words=4):
    return (torch.as_tensor(a)[None] for a in vocabulary.encode(words, max_words))


def test_word_vector_depends_on_the_word_alone(vocabulary):
    model = controller()
    tokens, _ = encode(vocabulary, ['stop', 'exit', 'stops'])
    together = model.encode_words(tokens)[0]
    alone = torch.stack([model.encode_words(tokens[:, i : i + 1])[0, 0] for i in range(3)])
    torch.testing.assert_close(together[:3], alone)
    assert (together[0] - together[2]).abs().max() > 1e-3


def test_empty_characters_do_not_count(vocabulary):
    model = controller()
    tokens, _ = encode(vocabulary, ['stop'])
    longer = tokens.clone()
    longer[0, 0, 6:] = 7  # after the end of the word
    torch.testing.assert_close(model.encode_words(tokens)[0, 0], model.encode_words(longer)[0, 0])
    released = controller(mask_padding=False, match=False)
    assert not torch.allclose(
        released.encode_words(tokens)[0, 0], released.encode_words(longer)[0, 0]
    )


def test_empty_words_change_nothing_when_masked(vocabulary):
    model = controller()
    image = torch.randn(1, 16, 2, 3)
    results = []
    for slots in (2, 7):
        tokens, mask = encode(vocabulary, ['stop', 'exit'], slots)
        words = model.encode_words(tokens)
        results.append((model(image, words, mask), model.pool_words(words, mask)))
    torch.testing.assert_close(results[0], results[1])


def test_order_of_words_does_not_matter(vocabulary):
    model = controller()
    image = torch.randn(1, 16, 2, 3)
    outputs = []
    for prompt in (['stop', 'exit'], ['exit', 'stop']):
        tokens, mask = encode(vocabulary, prompt)
        outputs.append(model(image, model.encode_words(tokens), mask))
    torch.testing.assert_close(*outputs)


def test_prompt_changes_the_outcome_and_an_empty_one_is_finite(vocabulary):
    model = controller()
    image = torch.randn(1, 16, 4, 5)
    outputs = []
    for prompt in (['stop'], ['exit'], []):
        tokens, mask = encode(vocabulary, prompt)
        outputs.append(model(image, model.encode_words(tokens), mask))
        assert outputs[-1].isfinite().all()
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


def test_pooling_takes_shown_words_only(vocabulary):
    model = controller()
    tokens, _ = encode(vocabulary, ['stop', 'exit', 'noise'])
    words = model.encode_words(tokens)
    shown = torch.tensor([[True, True, False, False]])
    torch.testing.assert_close(model.pool_words(words, shown), words[:, :2].mean(1))
    assert (model.pool_words(words, ~shown & shown) == 0).all()
    torch.testing.assert_close(
        controller(mask_padding=False, match=False).pool_words(words, shown), words.mean(1)
    )


def test_match_is_the_log_odds_of_any_prompted_word(vocabulary):
    model = controller()
    image = torch.randn(1, 16, 2, 3)
    tokens, mask = encode(vocabulary, ['stop', 'exit'])
    words = model.encode_words(tokens)
    match = model.match_words(image, words, mask)

    query = model.match_query(image.flatten(2)[0].T) / 4  # (6, 16)
    choice = torch.cat([model.none_of_these[0], words[0, :2]])
    odds = (query @ model.match_key(choice).T).softmax(1)  # (6, 3)
    expected = (odds[:, 1:].sum(1) / odds[:, 0]).log().view(1, 1, 2, 3)
    torch.testing.assert_close(match, expected)
    more, more_mask = encode(vocabulary, ['stop', 'exit'], 6)
    torch.testing.assert_close(model.match_words(image, model.encode_words(more), more_mask), match)


def test_nothing_matches_an_empty_prompt(vocabulary):
    model = controller()
    tokens, mask = encode(vocabulary, [])
    match = model.match_words(torch.randn(1, 16, 2, 3), model.encode_words(tokens), mask)
    match.sum().backward()
    assert match.max() < -1000
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_match_needs_masked_padding():
    with pytest.raises(ValueError, match='needs mask_padding'):
        controller(mask_padding=False)


def test_a_word_can_be_the_vector_of_its_end(vocabulary):
    model, averaged = controller(word_pooling='end'), controller()
    tokens, _ = encode(vocabulary, ['stop', 'exit'])
    states = []
    model.word_norm.register_forward_hook(lambda module, inputs, output: states.append(output))
    words = model.encode_words(tokens)[0]
    torch.testing.assert_close(words[1], states[0][1, 4] @ model.word_projection)
    assert not torch.allclose(words[1], averaged.encode_words(tokens)[0, 1])
    with pytest.raises(ValueError, match='first'):
        controller(word_pooling='first')


def test_images_without_shown_words_have_no_pair_but_in_the_released_model():
    shown = torch.tensor([[True, False], [False, False]])
    assert controller().has_words(shown).tolist() == [True, False]
    released = controller(mask_padding=False, match=False)
    assert released.has_words(shown).tolist() == [True, True]


def test_slots_that_are_empty_everywhere_are_encoded_once(vocabulary):
    model = controller(mask_padding=False, match=False)
    tokens, _ = encode(vocabulary, ['stop', 'exit'], 7)
    expected = model.encode_words(tokens)
    lengths = []
    model.word_norm.register_forward_hook(
        lambda module, inputs, output: lengths.append(len(output))
    )
    torch.testing.assert_close(model.encode_words(tokens, filled=2), expected)
    torch.testing.assert_close(model.encode_words(tokens, filled=6), expected)
    assert lengths == [3, 7]
    gradients = []
    for filled in (None, 2):
        model.zero_grad()
        model.encode_words(tokens, filled).square().sum().backward()
        gradients.append(model.characters.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('released', [False, True])
def test_attention_to_words_is_a_share(vocabulary, released):
    model = controller(mask_padding=not released, match=not released)
    image = torch.randn(1, 16, 2, 3)
    tokens, mask = encode(vocabulary, ['stop', 'exit'])
    attention = model.attend(image, model.encode_words(tokens), mask)
    assert attention.shape == (1, 4, 2, 3)
    total = attention.sum(1)
    if released:  # empty slots are attended to like words
        torch.testing.assert_close(total, torch.ones(1, 2, 3))
    else:
        assert not attention[:, 2:].any()
        assert (total > 0).all() and (total < 1).all()


def test_attention_is_the_mean_over_blocks(vocabulary):
    model = controller()
    tokens, mask = encode(vocabulary, ['stop', 'exit'], 2)
    weights = []
    for block in model.blocks:
        block.register_forward_hook(lambda block, inputs, outputs: weights.append(outputs[1]))
    attention = model.attend(torch.randn(1, 16, 2, 3), model.encode_words(tokens), mask)
    one, other = (w[..., 1:].transpose(1, 2).unflatten(2, (2, 3)) for w in weights)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(attention, (one + other) / 2)


def test_attention_follows_the_word(vocabulary):
    model = controller()
    tokens, mask = encode(vocabulary, ['stop', 'exit'], 2)
    words = model.encode_words(tokens)
    image = torch.randn(1, 16, 2, 3)
    one, other = (model.attend(image, words[:, order], mask) for order in ([0, 1], [1, 0]))
    torch.testing.assert_close(one, other[:, [1, 0]])


def test_words_are_located_by_the_choice_that_matches_them(vocabulary):
    model = controller()
    tokens, mask = encode(vocabulary, ['stop', 'exit'])
    image, words = torch.randn(1, 16, 2, 3), model.encode_words(tokens)
    located = model.locate_words(image, words, mask)
    assert located.shape == (1, 4, 2, 3)
    assert not located[:, 2:].any()
    odds = model.match_words(image, words, mask)
    torch.testing.assert_close(located.sum(1, keepdim=True), odds.sigmoid())
    assert controller(match=False).locate_words(image, words, mask) is None


def test_without_blocks_nothing_is_attended_to_and_every_parameter_is_used(vocabulary):
    model = controller(depth=0, match=False)
    image = torch.randn(1, 16, 2, 3)
    tokens, mask = encode(vocabulary, ['stop', 'exit'])
    words = model.encode_words(tokens)
    assert (model.attend(image, words, mask) == torch.zeros(1, 4, 2, 3)).all()
    (model(image, words, mask).sum() + words.sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
