import torch

from odm_mmocr.models.layers import CrossAttentionBlock, SelfAttentionBlock


def test_self_attention_never_looks_ahead():
    torch.manual_seed(0)
    block = SelfAttentionBlock(16, 4).eval()
    mask = torch.ones(6, 6, dtype=torch.bool).triu(1)
    x = torch.randn(2, 6, 16)
    changed = x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(block(x, mask)[:, :4], block(changed, mask)[:, :4])
    assert not torch.allclose(block(x, mask)[:, 4:], block(changed, mask)[:, 4:])


def test_cross_attention_ignores_padding_and_order_of_words():
    torch.manual_seed(0)
    block = CrossAttentionBlock(16, 4).eval()
    tokens, words = torch.randn(2, 9, 16), torch.randn(2, 4, 16)
    padding = torch.tensor([[False, False, True, True]] * 2)
    expected = block(tokens, words[:, :2], None)
    torch.testing.assert_close(block(tokens, words, padding), expected)
    torch.testing.assert_close(block(tokens, words[:, [1, 0]], None), expected)


def test_attention_weights_add_up_to_one_and_change_nothing():
    torch.manual_seed(0)
    block = CrossAttentionBlock(16, 4).eval()
    tokens, words = torch.randn(2, 9, 16), torch.randn(2, 4, 16)
    padding = torch.tensor([[False, False, True, True]] * 2)
    expected, none = block(tokens, words, padding)
    steered, weights = block(tokens, words, padding, need_weights=True)
    assert none is None
    torch.testing.assert_close(steered, expected)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 9))
    assert not weights[:, :, 2:].any()
