"""The Text-Controller: reads the prompt, word by word, and steers the image tokens by it."""

import torch
from mmocr.registry import MODELS
from torch import Tensor, nn

from .layers import CrossAttentionBlock, LearnedPositions2d
from .word_encoder import WordEncoder


@MODELS.register_module()
class TextController(WordEncoder):
    """Encodes the prompted words and tells every place of the image which of them stand there.

    A small causal transformer reads the characters of a word; their mean is the word's vector.
    Image tokens then attend to the word vectors in ``depth`` cross-attention blocks. Words have
    no order among themselves. One learned vector stands beside them as "none of these words",
    so that an image token has somewhere to look when its word was not prompted, and an empty
    prompt is a prompt too.

    Args:
        vocabulary: Config of the :class:`Vocabulary` that the pipeline encodes words with.
        embed_dims: Width of word vectors and image tokens.
        depth: Cross-attention blocks.
        num_heads: Heads of the cross-attention.
        word_dims: Width of the word encoder.
        word_depth: Blocks of the word encoder.
        word_heads: Heads of the word encoder.
        grid: (rows, columns) of the image tokens at the usual input size, where their positions
            are kept.
        mask_padding: Leave empty characters and empty words out of encoding, attention and
            pooling. False reproduces the released model, which encodes, attends to and averages
            them like real ones and has no vector for "none of these".
        match: Also compare image tokens with word vectors directly, see :meth:`match_words`.
            Without it prompt control is learned much later; the released model has no such path.
        word_pooling: What becomes the word's vector: ``'mean'`` of its slots, as in ODM, or the
            slot of its ``'end'``, as in oCLIP.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: ``match`` without ``mask_padding``, or an unknown ``word_pooling``.
    """

    def __init__(
        self,
        vocabulary: dict,
        embed_dims: int = 512,
        depth: int = 6,
        num_heads: int = 8,
        word_dims: int = 64,
        word_depth: int = 6,
        word_heads: int = 8,
        grid: tuple[int, int] = (32, 32),
        mask_padding: bool = True,
        match: bool = True,
        word_pooling: str = 'mean',
        init_cfg: dict | None = None,
    ):
        if match and not mask_padding:
            raise ValueError('match=True needs mask_padding=True: it compares with "none of these"')
        super().__init__(
            vocabulary,
            embed_dims,
            word_dims,
            word_depth,
            word_heads,
            mask_padding,
            word_pooling,
            init_cfg=init_cfg,
        )
        self.match = match
        if match:
            self.match_query = nn.Linear(embed_dims, embed_dims, bias=False)
            self.match_key = nn.Linear(embed_dims, embed_dims, bias=False)
        # A parameter without a gradient would stop training with several processes.
        if mask_padding and (depth or match):
            self.none_of_these = nn.Parameter(0.02 * torch.randn(1, 1, embed_dims))
        self.image_positions = LearnedPositions2d(grid, embed_dims, embed_dims**-0.5)
        self.blocks = nn.ModuleList(
            CrossAttentionBlock(embed_dims, num_heads) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims)

    def match_words(self, tokens: Tensor, words: Tensor, mask: Tensor) -> Tensor | None:
        """Ask of every image token whether a prompted word stands there.

        Scaled dot products of token and words, as in attention, are the logits of a choice
        between the words and "none of these".

        Args:
            tokens: Image tokens as a map, (B, embed_dims, h, w).
            words: Word vectors, (B, words, embed_dims).
            mask: bool (B, words), True where there is a word.

        Returns:
            Log-odds of any word against none, float32 (B, 1, h, w); None without ``match``.
        """
        if not self.match:
            return None
        scores, none = self._score_cells(tokens, words, mask)
        any_word = scores.logsumexp(2)  # (B, h * w)
        return (any_word - none.squeeze(2)).unflatten(1, (1, *tokens.shape[-2:]))

    def score_words(self, features: Tensor, words: Tensor) -> Tensor:
        """Score how well words fit what image tokens see.

        Args:
            features: (..., N, embed_dims), image tokens or averages of them.
            words: (..., M, embed_dims), word vectors.

        Returns:
            float32 (..., N, M), scaled dot products.
        """
        query, key = self.match_query(features), self.match_key(words)
        return (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5

    def forward(self, tokens: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Steer the image tokens by the words.

        Args:
            tokens: Image tokens as a map, (B, embed_dims, h, w).
            words: Word vectors, (B, words, embed_dims).
            mask: bool (B, words), True where there is a word.

        Returns:
            (B, embed_dims, h, w).
        """
        return self._steer(tokens, words, mask)[0]

    def attend(self, tokens: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Say where in the image each word was looked for.

        Args:
            tokens, words, mask: As for :meth:`forward`.

        Returns:
            (B, words, h, w), 0 to 1: the share of its attention that an image token gives to the
            word, averaged over heads and blocks. What the words of a prompt leave of 1 went to
            "none of these", without ``mask_padding`` to empty slots. Without blocks all is 0.
        """
        return self._steer(tokens, words, mask, need_weights=True)[1]

    def locate_words(self, tokens: Tensor, words: Tensor, mask: Tensor) -> Tensor | None:
        """Say how likely each word stands in each cell, by the same choice as `match_words`.

        Args:
            tokens, words, mask: As for :meth:`forward`.

        Returns:
            Probabilities, float32 (B, words, h, w), which together with "none of these" add up to
            1; None without ``match``.
        """
        if not self.match:
            return None
        scores, none = self._score_cells(tokens, words, mask)
        probability = torch.cat([none, scores], 2).softmax(2)[..., 1:]  # (B, h * w, W)
        return probability.transpose(1, 2).unflatten(2, tokens.shape[-2:])

    def _steer(
        self, tokens: Tensor, words: Tensor, mask: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        size = tokens.shape[-2:]
        count = words.shape[1]
        padding = None
        if self.mask_padding and self.blocks:
            words = torch.cat([self.none_of_these.expand(len(words), -1, -1), words], 1)
            padding = torch.cat([mask.new_zeros(len(mask), 1), ~mask], 1)
        x = tokens.flatten(2).transpose(1, 2) + self.image_positions(size)  # (B, h * w, C)
        attention = []
        for block in self.blocks:
            x, weights = block(x, words, padding, need_weights)
            attention.append(weights)
        steered = self.norm(x).transpose(1, 2).unflatten(2, size)  # (B, C, h, w)
        if not need_weights:
            return steered, None
        if not attention:
            return steered, tokens.new_zeros(len(tokens), count, *size)
        weights = torch.stack(attention).mean(0)[..., -count:]  # (B, h * w, W), without "none"
        return steered, weights.transpose(1, 2).unflatten(2, size)

    def _score_cells(self, tokens: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, h * w, W) of the words and (B, h * w, 1) of "none of these"."""
        cells = tokens.flatten(2).transpose(1, 2)  # (B, h * w, C)
        # A large number instead of infinity: an empty prompt must leave the gradient finite.
        scores = self.score_words(cells, words).masked_fill(~mask.unsqueeze(1), -1e4)
        return scores, self.score_words(cells, self.none_of_these)
