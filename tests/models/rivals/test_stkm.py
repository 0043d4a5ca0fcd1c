import pytest
import torch

from odm_mmocr.datasets import Vocabulary
from odm_mmocr.models.rivals.stkm import TopDownFusion, sinusoidal_positions, write_sequence

VOCABULARY = Vocabulary(characters='abcd', max_characters=4)
END, START, STOP = 5, 6, 7


def sequence(make_sample, *prompts, max_characters=100):
    samples = [make_sample(list(words), vocabulary=VOCABULARY) for words in prompts]
    given, target = write_sequence(samples, VOCABULARY, max_characters)
    return given.tolist(), target.tolist()


def test_words_stand_in_the_order_of_their_codes_and_sequences_stop(make_sample):
    given, target = sequence(make_sample, ['b', 'abc'], ['d'], [])
    assert target == [
        [1, 2, 3, END, 2, END, STOP],
        [4, END, STOP, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert given == [
        [START, 1, 2, 3, END, 2, END],
        [START, 4, END, 0, 0, 0, 0],
        [START, 0, 0, 0, 0, 0, 0],
    ]


def test_order_of_the_prompt_does_not_matter(make_sample):
    assert sequence(make_sample, ['b', 'abc', 'd']) == sequence(make_sample, ['d', 'b', 'abc'])


def test_unknown_characters_do_not_count_and_long_words_are_cut(make_sample):
    # Four slots of a word, the last one for its end.
    assert sequence(make_sample, ['aéb', 'dddddd'])[1] == [
        [1, 0, 2, END, 4, 4, 4, END, STOP],
    ]


@pytest.mark.parametrize(('longest', 'end'), [(3, [1, 2, 3]), (4, [1, 2, 3, END])])
def test_a_sequence_that_is_cut_off_does_not_stop(make_sample, longest, end):
    given, target = sequence(make_sample, ['b', 'abc'], max_characters=longest)
    assert target == [end]
    assert given == [[START, *end[:-1]]]


def test_noise_words_are_not_spelled(make_sample):
    sample = make_sample(['b', 'a'], shown=[True, False], vocabulary=VOCABULARY)
    assert write_sequence([sample], VOCABULARY, 100)[1].tolist() == [[2, END, STOP, 0, 0]]


def test_a_character_sees_those_before_it_and_the_image(build_rival):
    model = build_rival('stkm').eval()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, 32, 4, 4, generator=generator)
    given = torch.tensor([[96, 3, 4, 5, 6]])
    logits = model.spell(tokens, given)
    later = given.clone()
    later[0, 3] = 9
    changed = (model.spell(tokens, later) - logits).abs().amax(2)[0]
    assert changed[:3].max() == 0
    assert changed[3:].min() > 1e-4
    elsewhere = (model.spell(tokens.flip(3), given) - logits).abs().amax(2)[0]
    assert elsewhere.min() > 1e-4


def test_without_attention_to_the_image_nothing_is_learned_of_it(build_rival, make_batch):
    model = build_rival('stkm').eval()
    batch = make_batch(model, [['stop']], [(64, 64)])
    one = model(**batch, mode='loss')['loss_characters']
    batch['inputs'] = batch['inputs'].flip(3) + 1
    assert model(**batch, mode='loss')['loss_characters'] != one


@pytest.mark.parametrize(('stride', 'shape'), [(4, (16, 8)), (8, (8, 4)), (16, (4, 2))])
def test_image_tokens_have_something_of_every_stage(stride, shape):
    stages = [torch.randn(1, c, 16 // s, 8 // s) for c, s in zip((3, 4, 5, 6), (1, 2, 4, 8))]
    fusion = TopDownFusion((3, 4, 5, 6), (4, 8, 16, 32), 7, stride)
    tokens = fusion(stages)
    assert tokens.shape == (1, 7, *shape)
    for index in range(4):
        changed = [stage + (i == index) for i, stage in enumerate(stages)]
        assert (fusion(changed) - tokens).abs().amax((1, 2, 3)) > 1e-3


@pytest.mark.parametrize('stride', [2, 6])
def test_stride_of_no_stage(stride):
    with pytest.raises(ValueError, match=f"stride={stride} is no multiple of the first stage's 4"):
        TopDownFusion((3, 4, 5, 6), (4, 8, 16, 32), 7, stride)


def test_position_is_told_by_sines():
    places = sinusoidal_positions(50, 8)
    assert places.shape == (50, 8)
    assert places[0].tolist() == [0, 1] * 4
    torch.testing.assert_close(places[3, 0], torch.tensor(3.0).sin())
    assert torch.cdist(places, places).fill_diagonal_(1).min() > 0.1
