"""STKM: spell all words of the image, one character after the other."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmocr.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.structures import ODMDataSample

from ..layers import LearnedPositions2d
from .base import PretrainingModel, stack_words
from .losses import character_accuracy, character_loss


@MODELS.register_module()
class STKM(PretrainingModel):
    """Self-attention based Text Knowledge Mining, Wan et al., CVPR 2021, pages 5979-5988.

    A transformer decoder looks at the image and writes its words down as one sequence of
    characters, words in the order of their character codes (algorithm 1 of the paper), each
    followed by the end of a word, the last by the end of the sequence. Of every character it sees
    those before. No location is needed.

    Args:
        image_encoder: Config of a :class:`BackboneEncoder`.
        vocabulary: Config of the :class:`Vocabulary` that the pipeline encodes words with.
        embed_dims: Channels of image tokens and characters.
        stride: Of the image tokens, at least that of the backbone's first stage.
        depth: Layers of the decoder.
        num_heads: Heads of its attention.
        hidden_dims: Width of the hidden layer of its feed-forward networks.
        dropout: Probability of dropout in the decoder.
        max_characters: Longest sequence, the ends of words included; what is beyond is cut off.
        label_smoothing: Share of the target that is spread evenly over all ids.
        grid: (rows, columns) of the image tokens at the usual input size, where their positions
            are kept.
        data_preprocessor: Config of an :class:`ODMDataPreprocessor`.
        init_cfg: Initialisation, as everywhere in MMEngine.
    """

    def __init__(
        self,
        image_encoder: dict,
        vocabulary: dict,
        embed_dims: int = 512,
        stride: int = 8,
        depth: int = 4,
        num_heads: int = 8,
        hidden_dims: int = 1024,
        dropout: float = 0.1,
        max_characters: int = 400,
        label_smoothing: float = 0.1,
        grid: tuple[int, int] = (64, 64),
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(image_encoder, data_preprocessor, init_cfg)
        self.fusion = TopDownFusion(
            self.image_encoder.channels, self.image_encoder.strides, embed_dims, stride
        )
        self.vocabulary = TASK_UTILS.build(vocabulary)
        # Beside the ids of the vocabulary, a start and a stop of the sequence.
        self.num_ids = self.vocabulary.num_ids + 2
        self.max_characters = max_characters
        self.label_smoothing = label_smoothing
        self.characters = nn.Embedding(self.num_ids, embed_dims)
        self.register_buffer(
            'places', sinusoidal_positions(max_characters, embed_dims), persistent=False
        )
        self.positions = LearnedPositions2d(grid, embed_dims)
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(
                embed_dims, num_heads, hidden_dims, dropout, batch_first=True
            ),
            depth,
        )
        for weight in self.decoder.parameters():
            if weight.dim() > 1:  # the layers of a TransformerDecoder are copies of one
                nn.init.xavier_uniform_(weight)
        self.classifier = nn.Linear(embed_dims, self.num_ids)

    def encode(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Spell the words, each character from the true ones before it.

        Args:
            images: (B, 3, H, W), normalised.
            data_samples: B samples with a ``prompt``.

        Returns:
            ``logits`` (B, T, ids) and ``target`` int64 (B, T), 0 beyond the end.
        """
        given, target = write_sequence(data_samples, self.vocabulary, self.max_characters)
        tokens = self.fusion(self.image_encoder(images))
        return dict(logits=self.spell(tokens, given), target=target)

    def spell(self, image_tokens: Tensor, given: Tensor) -> Tensor:
        """Say which character comes next at every place of a sequence.

        Args:
            image_tokens: Image tokens as a map, (B, C, h, w).
            given: int64 (B, T), the characters before: the start, then the sequence itself.

        Returns:
            Logits (B, T, ids).
        """
        cells = image_tokens.flatten(2).transpose(1, 2)  # (B, h * w, C)
        cells = cells + self.positions(image_tokens.shape[-2:])
        length = given.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=given.device).triu(1)
        # Padding is on the right, where no earlier place looks.
        x = self.characters(given) + self.places[:length]
        return self.classifier(self.decoder(x, cells, causal, tgt_is_causal=True))

    def loss(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Cross-entropy of the sequence, and the share of its characters that are right."""
        outputs = self.encode(images, data_samples)
        logits, target = outputs['logits'], outputs['target']
        return dict(
            loss_characters=character_loss(logits, target, self.label_smoothing),
            character_accuracy=character_accuracy(logits, target),
        )


class TopDownFusion(nn.Module):
    """All stages of a backbone as one map: the coarse ones are added to the finer ones.

    Args:
        channels: Of the stages.
        strides: Of the stages, from fine to coarse.
        embed_dims: Channels of the map.
        stride: Of the map.

    Raises:
        ValueError: ``stride`` is no multiple of the finest stage's.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], embed_dims: int, stride: int
    ):
        super().__init__()
        step, rest = divmod(stride, strides[0])
        if rest or not step:
            raise ValueError(f"stride={stride} is no multiple of the first stage's {strides[0]}")
        self.laterals = nn.ModuleList(nn.Conv2d(count, embed_dims, 1) for count in channels)
        self.smooth = nn.Conv2d(embed_dims, embed_dims, 3, stride=step, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Maps of the stages, from fine to coarse, to one (B, embed_dims, H / s, W / s)."""
        *finer, x = (lateral(stage) for lateral, stage in zip(self.laterals, stages, strict=True))
        for stage in reversed(finer):
            x = stage + F.interpolate(x, stage.shape[-2:], mode='nearest')
        return self.smooth(x)


def write_sequence(
    data_samples: list[ODMDataSample], vocabulary: Vocabulary, max_characters: int
) -> tuple[Tensor, Tensor]:
    """Write the words of each image as one sequence.

    Args:
        data_samples: B samples with a ``prompt``.
        vocabulary: That of the model. ``num_ids`` starts a sequence, ``num_ids + 1`` stops it.
        max_characters: Longest sequence.

    Returns:
        What the decoder is given and what it must say, int64 (B, T) each, the first one place
        behind the second; 0 beyond the end, for unknown characters, and all over where there is
        no word.
    """
    tokens, shown = stack_words(data_samples, vocabulary)
    prompts = [sample.prompt.texts for sample in data_samples]
    # Sorted here, where texts are: on a GPU, tokens would have to be waited for.
    order = torch.arange(tokens.shape[1]).repeat(len(prompts), 1)
    for row, texts in zip(order, prompts, strict=True):
        row[: len(texts)] = torch.tensor(
            sorted(range(len(texts)), key=texts.__getitem__), dtype=torch.int64
        )
    order = order.to(tokens.device, non_blocking=True)
    tokens = tokens.gather(1, order.unsqueeze(2).expand_as(tokens))
    is_end = tokens == vocabulary.end
    is_word = is_end.cumsum(2) - is_end.long() == 0  # up to the end of each word
    is_word = (is_word & shown.gather(1, order).unsqueeze(2)).flatten(1)
    slots = tokens.shape[2]
    longest = max(sum(min(len(text) + 1, slots) for text in texts) for texts in prompts)
    length = min(longest + 1, max_characters)

    # Words close up: the places that count come first, in their order.
    front = is_word.int().argsort(dim=1, descending=True, stable=True)
    sequence = tokens.flatten(1).gather(1, front) * is_word.gather(1, front)
    sequence = torch.cat([sequence, sequence.new_zeros(len(sequence), 1)], 1)[:, :length]
    count = is_word.sum(1, keepdim=True)
    start, stop = vocabulary.num_ids, vocabulary.num_ids + 1
    target = torch.cat([sequence, sequence.new_zeros(len(sequence), 1)], 1)[:, :length]
    places = torch.arange(length, device=target.device)
    target = target.masked_fill((places == count) & (count > 0), stop)
    given = torch.cat([sequence.new_full((len(sequence), 1), start), sequence[:, :-1]], 1)
    return given, target


def sinusoidal_positions(length: int, channels: int) -> Tensor:
    """Positions of `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, section 3.5.

    Args:
        length: Places of a sequence.
        channels: Width, an even number.

    Returns:
        float32 (length, channels).
    """
    frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000) / channels))
    angles = torch.arange(length).unsqueeze(1) * frequencies  # (length, channels / 2)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
