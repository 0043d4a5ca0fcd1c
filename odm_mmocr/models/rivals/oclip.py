"""oCLIP: which character of the word is masked? The image knows."""

import torch
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.structures import ODMDataSample

from ..layers import CrossAttentionBlock, LearnedPositions2d
from ..losses import bounded_scale, start_log_scale
from .base import PretrainingModel, stack_words
from .losses import character_accuracy, character_loss


@MODELS.register_module()
class OCLIP(PretrainingModel):
    """oCLIP, `arXiv 2203.03911 <https://arxiv.org/abs/2203.03911>`_; the nearest peer of ODM.

    One character of each word is masked before the word becomes a vector (character-aware text
    encoder). The word vectors then look at the image, all by themselves (visual-textual decoder),
    and what they have seen must name the character. A contrastive loss tells apart which image
    belongs to which words. No location is needed::

        image -> image_encoder -> image tokens -----.
                      '---------> image feature     v
        words, one character masked -> word_encoder -> decoder -> character
                                            '-> text feature

    Args:
        image_encoder: Config of an :class:`ODMImageEncoder`.
        word_encoder: Config of a :class:`WordEncoder`; ``embed_dims`` is taken from the image
            encoder, the id of a masked character and the pooling are oCLIP's.
        depth: Blocks of the decoder.
        num_heads: Heads of its attention.
        grid: (rows, columns) of the image tokens at the usual input size, where their positions
            are kept.
        loss_contrastive: Config of the contrastive loss.
        data_preprocessor: Config of an :class:`ODMDataPreprocessor`.
        init_cfg: Initialisation, as everywhere in MMEngine.
    """

    def __init__(
        self,
        image_encoder: dict,
        word_encoder: dict,
        depth: int = 6,
        num_heads: int = 8,
        grid: tuple[int, int] = (32, 32),
        loss_contrastive: dict = dict(type='BatchContrastiveLoss', loss_weight=1.0),  # noqa: B006
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(image_encoder, data_preprocessor, init_cfg)
        embed_dims = self.image_encoder.embed_dims
        self.word_encoder = MODELS.build(
            dict(word_encoder, embed_dims=embed_dims, extra_ids=1, word_pooling='end')
        )
        self.positions = LearnedPositions2d(grid, embed_dims, embed_dims**-0.5)
        self.blocks = nn.ModuleList(
            ImageAttentionBlock(embed_dims, num_heads) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.classifier = nn.Linear(embed_dims, self.word_encoder.vocabulary.num_ids)
        self.loss_contrastive = MODELS.build(loss_contrastive)
        self.logit_scale = start_log_scale()

    def encode(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Mask characters and guess them.

        Args:
            images: (B, 3, H, W), normalised.
            data_samples: B samples with a ``prompt``.

        Returns:
            ``logits`` (B, words, ids) of the masked characters, ``target`` int64 (B, words), their
            ids and 0 where none is masked, ``image_feature`` and ``text_feature`` (B, C), not
            normalised, and ``shown`` bool (B, words).
        """
        vocabulary = self.word_encoder.vocabulary
        tokens, shown = stack_words(data_samples, vocabulary)
        tokens, target = mask_characters(tokens, shown, vocabulary.end, vocabulary.num_ids)
        words = self.word_encoder.encode_words(tokens)
        _, image_tokens, image_feature = self.image_encoder(images)
        return dict(
            logits=self.guess(words, image_tokens),
            target=target,
            image_feature=image_feature,
            text_feature=self.word_encoder.pool_words(words, shown),
            shown=shown,
        )

    def guess(self, words: Tensor, image_tokens: Tensor) -> Tensor:
        """Let word vectors look at the image.

        Args:
            words: (B, words, C).
            image_tokens: Image tokens as a map, (B, C, h, w).

        Returns:
            Logits (B, words, ids) of each word's masked character.
        """
        cells = image_tokens.flatten(2).transpose(1, 2)  # (B, h * w, C)
        places = cells + self.positions(image_tokens.shape[-2:])
        for block in self.blocks:
            words = block(words, places, cells)
        return self.classifier(self.norm(words))

    def loss(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Both losses, and the share of the masked characters that are guessed right."""
        outputs = self.encode(images, data_samples)
        logits, target = outputs['logits'], outputs['target']
        return dict(
            loss_characters=character_loss(logits, target),
            loss_contrastive=self.loss_contrastive(
                outputs['image_feature'],
                outputs['text_feature'],
                self.word_encoder.has_words(outputs['shown']),
                bounded_scale(self.logit_scale),
            ),
            character_accuracy=character_accuracy(logits, target),
        )


class ImageAttentionBlock(CrossAttentionBlock):
    """Words look at image tokens: keys have positions, values have none."""

    def forward(self, words: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Look at (B, N, C) keys and values; words (B, W, C) in and out."""
        found, _ = self.attention(words, keys, values, need_weights=False)
        words = words + self.norm1(found)
        return words + self.mlp(self.norm2(words))


def mask_characters(tokens: Tensor, shown: Tensor, end: int, mask_id: int) -> tuple[Tensor, Tensor]:
    """Put a mask in place of a random character of each word, drawn by PyTorch's generator.

    Args:
        tokens: int64 (B, words, characters), 0 for padding and for unknown characters.
        shown: bool (B, words); other words stay whole.
        end: Id of the end of a word.
        mask_id: Id to put there.

    Returns:
        Tokens with masks, and the ids that stood there, int64 (B, words), 0 where no character of
        the word is known.
    """
    maskable = ((tokens == end).cumsum(2) == 0) & (tokens > 0) & shown.unsqueeze(2)
    draw = torch.rand(tokens.shape, device=tokens.device).masked_fill(~maskable, -1)
    place = draw.argmax(2, keepdim=True)  # (B, words, 1)
    character, chosen = tokens.gather(2, place), maskable.gather(2, place)
    masked = tokens.scatter(2, place, character.masked_fill(chosen, mask_id))
    return masked, character.masked_fill(~chosen, 0).squeeze(2)
