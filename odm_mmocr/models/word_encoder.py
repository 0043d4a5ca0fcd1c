"""The word encoder: reads the letters of a word, one vector a word."""

import torch
from mmengine.model import BaseModule
from mmocr.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from .layers import SelfAttentionBlock


@MODELS.register_module()
class WordEncoder(BaseModule):
    """Encodes each word of a prompt by itself, letter by letter, with a small causal transformer.

    Args:
        vocabulary: Config of the :class:`Vocabulary` that the pipeline encodes words with.
        embed_dims: Width of word vectors.
        word_dims: Width of the transformer.
        word_depth: Blocks of the transformer.
        word_heads: Heads of its attention.
        mask_padding: Leave empty characters and empty words out of encoding and pooling. False
            reproduces the released ODM, which encodes and averages them like real ones.
        word_pooling: What becomes the word's vector: ``'mean'`` of its slots, as in ODM, or the
            slot of its ``'end'``, as in oCLIP.
        extra_ids: Ids beyond those of the vocabulary, which it starts to count at its ``num_ids``;
            oCLIP has one for a masked character.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: An unknown ``word_pooling``.
    """

    def __init__(
        self,
        vocabulary: dict,
        embed_dims: int = 512,
        word_dims: int = 64,
        word_depth: int = 6,
        word_heads: int = 8,
        mask_padding: bool = True,
        word_pooling: str = 'mean',
        extra_ids: int = 0,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if word_pooling not in ('mean', 'end'):
            raise ValueError(f"word_pooling={word_pooling!r} is neither 'mean' nor 'end'")
        self.word_pooling = word_pooling
        self.vocabulary = TASK_UTILS.build(vocabulary)
        self.mask_padding = mask_padding
        length = self.vocabulary.max_characters

        self.characters = nn.Embedding(self.vocabulary.num_ids + extra_ids, word_dims)
        self.character_positions = nn.Parameter(0.01 * torch.randn(length, word_dims))
        self.word_blocks = nn.ModuleList(
            SelfAttentionBlock(word_dims, word_heads) for _ in range(word_depth)
        )
        self.word_norm = nn.LayerNorm(word_dims)
        self.word_projection = nn.Parameter(word_dims**-0.5 * torch.randn(word_dims, embed_dims))
        causal = torch.ones(length, length, dtype=torch.bool).triu(1)
        self.register_buffer('causal_mask', causal, persistent=False)
        nn.init.normal_(self.characters.weight, std=0.02)

    def encode_words(self, tokens: Tensor, filled: int | None = None) -> Tensor:
        """Turn every word into a vector.

        Args:
            tokens: int64 (B, words, characters), 0 where there is none.
            filled: How many slots, from the first, may hold a word; None: all. The others are
                empty in every sample, so one of them is encoded for all.

        Returns:
            (B, words, embed_dims).
        """
        empty = 0 if filled is None else tokens.shape[1] - filled
        if empty > 1:
            words = self.encode_words(tokens[:, : filled + 1])
            return torch.cat([words, words[:, -1:].expand(-1, empty - 1, -1)], 1)
        shape = tokens.shape
        tokens = tokens.flatten(0, 1)  # (B * words, characters)
        x = self.characters(tokens) + self.character_positions  # (B * words, characters, D)
        for block in self.word_blocks:
            x = block(x, self.causal_mask)
        x = self.word_norm(x)
        is_end = tokens == self.vocabulary.end
        if self.word_pooling == 'end':
            x = x[torch.arange(len(x), device=x.device), is_end.int().argmax(1)]
        elif self.mask_padding:
            real = (is_end.cumsum(1) - is_end.long() == 0).unsqueeze(-1)  # up to the end id
            x = (x * real).sum(1) / real.sum(1)
        else:
            x = x.mean(1)
        return (x @ self.word_projection).view(*shape[:2], -1)  # (B, words, embed_dims)

    def pool_words(self, words: Tensor, shown: Tensor) -> Tensor:
        """Average the vectors of the words that the image shows, for the contrastive loss.

        Args:
            words: (B, words, embed_dims).
            shown: bool (B, words), True for words that stand in the image.

        Returns:
            (B, embed_dims); zero where no word is shown.
        """
        if not self.mask_padding:
            return words.mean(1)
        weight = shown.unsqueeze(-1).to(words.dtype)
        return (words * weight).sum(1) / weight.sum(1).clamp(min=1)

    def has_words(self, shown: Tensor) -> Tensor:
        """Say which images have words for the contrastive loss; the released model takes all.

        Args:
            shown: bool (B, words), True for words that stand in the image.

        Returns:
            bool (B,).
        """
        return shown.any(1) if self.mask_padding else shown.new_ones(len(shown))
