"""ODM: redraw the prompted words of an image, and only those, in one uniform font."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import LabelData, PixelData
from mmocr.registry import MODELS
from torch import Tensor

from odm_mmocr.structures import ODMDataSample

from .image_encoder import check_size
from .layers import recompute_in_backward
from .losses import bounded_scale, gather_rows, start_log_scale
from .prompts import check_vocabulary
from .word_places import collect_places, pool_places


@MODELS.register_module()
class ODM(BaseModel):
    """OCR-Text Destylization Modeling, `arXiv 2403.00303 <https://arxiv.org/abs/2403.00303>`_.

    An image encoder sees the image, a Text-Controller reads the prompted words, image tokens
    look at the words, and a head draws the words that were both prompted and seen::

        image  -> image_encoder ----> stages ------------------------> head -> logits
                        |  '-> image tokens -> text_controller -> tokens -^
                        '----> image feature          ^
        prompt -> text_controller.encode_words -> word vectors -> text feature

    Training minimises L_seg (is there ink of a prompted word at this pixel), L_ocr (does the
    drawing look right to a network that reads) and L_bc (which image belongs to which words).

    Args:
        image_encoder: Config of an :class:`ODMImageEncoder`.
        text_controller: Config of a :class:`TextController`; its ``embed_dims`` is taken from
            the image encoder.
        head: Config of a :class:`DestylizationHead`; channels and strides are taken from the
            image encoder.
        loss_seg: Config of L_seg.
        loss_ocr: Config of L_ocr, or None for none.
        loss_contrastive: Config of L_bc, or None for none.
        loss_word: Config of a :class:`WordContrastiveLoss`, no part of the paper, or None. Needs
            a Text-Controller with ``match``, and samples with ``gt_instances``.
        data_preprocessor: Config of an :class:`ODMDataPreprocessor`.
        channels_last: Keep weights in channels-last memory.
        checkpoint: Names of parts, with wildcards, whose activations are computed again in the
            backward instead of being kept, see :func:`recompute_in_backward`. Memory for time.
        compile_cfg: Arguments of `torch.compile` for image encoder, cross-attention and head;
            ``{}`` for its defaults, None for no compilation.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: ``loss_word`` without ``match``, ``checkpoint`` names no part, or comes with
            ``compile_cfg``.
    """

    def __init__(
        self,
        image_encoder: dict,
        text_controller: dict,
        head: dict,
        loss_seg: dict,
        loss_ocr: dict | None = None,
        loss_contrastive: dict | None = None,
        loss_word: dict | None = None,
        data_preprocessor: dict | None = None,
        channels_last: bool = True,
        checkpoint: Sequence[str] = (),
        compile_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor or dict(type='ODMDataPreprocessor'), init_cfg)
        encoder = self.image_encoder = MODELS.build(image_encoder)
        self.text_controller = MODELS.build(dict(text_controller, embed_dims=encoder.embed_dims))
        self.head = MODELS.build(
            dict(
                head,
                in_channels=encoder.channels,
                strides=encoder.strides,
                text_channels=encoder.embed_dims,
                text_stride=encoder.text_stride,
            )
        )
        self.loss_seg = MODELS.build(loss_seg)
        self.loss_ocr = MODELS.build(loss_ocr) if loss_ocr else None
        self.loss_contrastive = MODELS.build(loss_contrastive) if loss_contrastive else None
        self.loss_word = MODELS.build(loss_word) if loss_word else None
        if self.loss_word is not None and not self.text_controller.match:
            raise ValueError('loss_word needs text_controller.match=True')
        # A parameter without a gradient would stop training with several processes.
        trained = self.loss_contrastive is not None
        self.logit_scale = start_log_scale(trained)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        recompute_in_backward(self, checkpoint)
        if compile_cfg is not None:
            if checkpoint:
                raise ValueError(
                    'checkpoint and compile_cfg: torch.compile cannot take parts that '
                    'are computed again; give one of them'
                )
            for part in (self.image_encoder, *self.text_controller.blocks, self.head):
                part.compile(**compile_cfg)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[ODMDataSample] | None = None,
        mode: str = 'tensor',
    ) -> dict | list:
        """Run the model.

        Args:
            inputs: (B, 3, H, W), normalised; H and W multiples of 32.
            data_samples: B samples, each with a ``prompt``, for ``loss`` with a
                ``gt_destylized`` too. None stands for empty prompts.
            mode: ``tensor``: raw outputs; ``loss``: losses; ``predict``: the samples with what
                :meth:`predict` adds.

        Returns:
            ``tensor``: dict of ``stages`` (four maps), ``image_tokens`` (B, C, h, w), ``words``
            (B, W, C), ``image_feature`` (B, C), ``text_feature`` (B, C), both not normalised, and
            ``logits`` (B, 1, H, W).
            ``loss``: dict of ``loss_seg`` and, where configured, ``loss_ocr``,
            ``loss_contrastive``, ``loss_word``.
            ``predict``: list of samples.

        Raises:
            ValueError: An unknown mode, or an input size that the backbone cannot take.
        """
        if mode == 'tensor':
            return self.encode_and_draw(inputs, *self.stack_prompts(data_samples, inputs))
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode={mode!r} is none of 'tensor', 'loss', 'predict'")

    def encode_and_draw(
        self,
        images: Tensor,
        tokens: Tensor,
        mask: Tensor,
        shown: Tensor,
        filled: int | None = None,
    ) -> dict:
        """The whole network.

        Args:
            images: (B, 3, H, W).
            tokens: int64 (B, words, characters).
            mask: bool (B, words), True where there is a word.
            shown: bool (B, words), True for words that the image shows.
            filled: How many slots, from the first, may hold a word; None: all.

        Returns:
            The outputs of mode ``tensor``.
        """
        check_size(images, self.image_encoder.strides[-1])
        stages, image_tokens, image_feature = self.image_encoder(images)
        words = self.text_controller.encode_words(tokens, filled)
        steered = self.text_controller(image_tokens, words, mask)
        match = self.text_controller.match_words(image_tokens, words, mask)
        return dict(
            stages=stages,
            image_tokens=image_tokens,
            words=words,
            image_feature=image_feature,
            text_feature=self.text_controller.pool_words(words, shown),
            logits=self.head(stages, steered, match),
        )

    def loss(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """L_seg, L_ocr and L_bc of a batch, each already weighted.

        With several processes the average of theirs is the loss of the whole batch, value and
        gradient, whatever share of it each process has.
        """
        prompts = self.stack_prompts(data_samples, images)
        shown = prompts[2]
        outputs = self.encode_and_draw(images, *prompts)
        label = torch.stack([sample.gt_destylized.label for sample in data_samples])
        ignore = torch.stack([sample.gt_destylized.ignore for sample in data_samples])
        weight = stack_weights(data_samples)
        losses = dict(loss_seg=self.loss_seg(outputs['logits'], label, ignore, weight))
        if self.loss_ocr is not None:
            losses['loss_ocr'] = self.loss_ocr(outputs['logits'], label, ignore)
        if self.loss_contrastive is not None:
            losses['loss_contrastive'] = self.loss_contrastive(
                outputs['image_feature'],
                outputs['text_feature'],
                self.text_controller.has_words(shown),
                bounded_scale(self.logit_scale),
            )
        if self.loss_word is not None:
            scores, target = self.score_places(outputs, data_samples, images.shape[-2:])
            losses['loss_word'] = self.loss_word(scores, target)
        return losses

    def score_places(
        self, outputs: dict, data_samples: list[ODMDataSample], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Score all words of the batch's prompts, of all processes, at the places of this one.

        Args:
            outputs: Those of mode ``tensor``.
            data_samples: B samples with ``prompt`` and ``gt_instances``.
            size: Height and width of the batch in pixels.

        Returns:
            Scores (B, N, M) of N places and M words, and the right word, int64 (B, N), -1 for none.
        """
        tokens = outputs['image_tokens']
        *places, counts = collect_places(data_samples)
        points, target, samples, slots = (
            part.to(tokens.device, non_blocking=True) for part in places
        )
        features, visible = pool_places(tokens, points, size)  # (B, N, C), (B, N)
        words = gather_rows(outputs['words'][samples, slots], counts)  # (M, C)
        return self.text_controller.score_words(features, words), target.where(visible, -1)

    def predict(
        self, images: Tensor, data_samples: list[ODMDataSample], with_attention: bool = False
    ) -> list[ODMDataSample]:
        """Draw, and say how images and prompts are seen.

        Args:
            images: (B, 3, H, W), normalised.
            data_samples: B samples, each with a ``prompt``; they are changed.
            with_attention: Also say where each word was looked for.

        Returns:
            The samples with ``pred_destylized``, ``pred_features`` and, where asked for,
            ``pred_attention``: see :class:`ODMDataSample`.
        """
        tokens, mask, shown, filled = self.stack_prompts(data_samples, images)
        outputs = self.encode_and_draw(images, tokens, mask, shown, filled)
        probability = outputs['logits'].float().sigmoid()
        for sample, drawn, image, text in zip(
            data_samples,
            probability,
            F.normalize(outputs['image_feature'].float(), dim=1),
            F.normalize(outputs['text_feature'].float(), dim=1),
            strict=True,
        ):
            height, width = sample.img_shape[:2]
            sample.pred_destylized = PixelData(probability=drawn[:, :height, :width])
            sample.pred_features = LabelData(image=image, text=text)
        if with_attention:
            asked = (outputs['image_tokens'], outputs['words'], mask)
            attention = self.text_controller.attend(*asked)
            located = self.text_controller.locate_words(*asked)
            for index, sample in enumerate(data_samples):
                count = len(sample.prompt.texts)
                sample.pred_attention = PixelData(attention=attention[index, :count].float())
                if located is not None:
                    sample.pred_attention.located = located[index, :count]
        return data_samples

    def stack_prompts(
        self, data_samples: list[ODMDataSample] | None, images: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Batch the prompts, cut to the longest of them where padding is masked.

        Args:
            data_samples: B samples with a ``prompt``; None for B empty prompts.
            images: (B, 3, H, W), for size and device of empty prompts.

        Returns:
            Tokens (B, words, characters), mask (B, words), shown (B, words), and the number of
            words in the longest prompt.

        Raises:
            ValueError: The prompts were encoded with another vocabulary than the model's.
        """
        vocabulary = self.text_controller.vocabulary
        if data_samples is None:
            length = vocabulary.max_characters
            mask = torch.zeros(len(images), 1, dtype=torch.bool, device=images.device)
            return mask.new_zeros(len(images), 1, length, dtype=torch.int64), mask, mask, 0
        prompts = [sample.prompt for sample in data_samples]
        check_vocabulary(prompts, vocabulary)
        filled = max(len(prompt.texts) for prompt in prompts)
        count = max(1, filled) if self.text_controller.mask_padding else len(prompts[0].mask)
        tokens, mask, shown = (
            torch.stack([getattr(prompt, name)[:count] for prompt in prompts])
            for name in ('tokens', 'mask', 'shown')
        )
        return tokens, mask, shown, filled


def stack_weights(data_samples: list[ODMDataSample]) -> Tensor | None:
    """Batch the weights of the samples' labels, 255 all over for those without.

    Args:
        data_samples: B samples with a ``gt_destylized``.

    Returns:
        uint8 (B, 1, H, W), or None where no sample has weights.
    """
    labels = [sample.gt_destylized for sample in data_samples]
    if not any('weight' in label for label in labels):
        return None
    return torch.stack(
        [
            label.weight if 'weight' in label else torch.full_like(label.label, 255)
            for label in labels
        ]
    )
