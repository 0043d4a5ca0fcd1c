"""Pictures of what a model draws, beside what it should draw, and of where it looks for words."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from odm_mmocr.models.losses.segmentation import INK_THRESHOLD
from odm_mmocr.structures import ODMDataSample

from .attention import attention_overlay, ink_overlay
from .drawing import add_caption, scale_picture
from .sheets import COLOURS, MARGIN, add_legend, draw_sheet, prompt_panel

# BGR, on black.
DIFFERENCES = dict(
    hit=(225, 225, 225), missed=(255, 120, 30), false=(0, 215, 255), leak=(60, 30, 255)
)
LEGEND = (
    ('hit', DIFFERENCES['hit']),
    ('missed', DIFFERENCES['missed']),
    ('false: no word there', DIFFERENCES['false']),
    ('leak: word not prompted', DIFFERENCES['leak']),
)


def difference_map(
    probability: np.ndarray,
    label: np.ndarray,
    ignore: np.ndarray,
    dropped: np.ndarray | None = None,
    threshold: float = 0.5,
) -> np.ndarray:
    """Colour every pixel by whether it was drawn and should have been, see :data:`DIFFERENCES`.

    Args:
        probability: (H, W), 0 to 1, of ink.
        label: uint8 (H, W), ink of the prompted words, 0 to 255.
        ignore: bool (H, W), pixels that do not count; they stay black.
        dropped: uint8 (H, W), ink of the words that are not prompted; where it is drawn without
            being ink of a prompted word too, that is a leak. None: such pixels are false.
        threshold: Probability from which a pixel is drawn.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    drawn, wanted = probability >= threshold, label >= INK_THRESHOLD
    unwanted = np.zeros_like(wanted) if dropped is None else dropped >= INK_THRESHOLD
    picture = np.zeros((*label.shape, 3), np.uint8)
    for name, where in (
        ('hit', drawn & wanted),
        ('missed', wanted & ~drawn),
        ('false', drawn & ~wanted & ~unwanted),
        ('leak', drawn & ~wanted & unwanted),
    ):
        picture[where & ~ignore] = DIFFERENCES[name]
    return picture


def prediction_row(
    image: np.ndarray,
    sample: ODMDataSample,
    tile_height: int | None = None,
    draw_gt: bool = True,
    draw_pred: bool = True,
    threshold: float = 0.5,
) -> dict[str, np.ndarray]:
    """Draw all that belongs to a sample.

    Args:
        image: uint8 (H, W, 3), BGR.
        sample: With ``prompt``, and ``gt_destylized`` and ``pred_destylized`` where they are to be
            shown.
        tile_height: Largest height of the pictures in pixels; none is wider than twice that. Small
            ones are enlarged by a whole number. None: the size of the image.
        draw_gt: Whether to show the target, and what depends on it.
        draw_pred: Whether to show the prediction, likewise.
        threshold: Probability from which a pixel is drawn, for the difference.

    Returns:
        Pictures uint8 (h, w, 3), BGR, of one size, by title: image, prompt, target, prediction,
        difference, ignore map; those that there are.
    """
    shape = image.shape[:2]
    size = shape if tile_height is None else _tile_size(shape, tile_height)
    draw_gt = draw_gt and 'gt_destylized' in sample
    draw_pred = draw_pred and 'pred_destylized' in sample
    pictures, maps = dict(image=image, prompt=prompt_panel(sample, size)), {}
    if draw_gt:
        height, width = shape  # the label may be padded
        maps = {name: _numpy(m[0, :height, :width]) for name, m in sample.gt_destylized.items()}
        pictures['target'] = maps['label']
    if draw_pred:
        probability = _numpy(sample.pred_destylized.probability[0])
        pictures['prediction'] = np.rint(255 * probability).astype(np.uint8)
    if draw_gt and draw_pred:
        pictures['difference'] = difference_map(
            probability, maps['label'], maps['ignore'], maps.get('dropped'), threshold
        )
    if draw_gt:
        pictures['ignore map'] = 255 * maps['ignore'].astype(np.uint8)
    return {title: scale_picture(picture, size) for title, picture in pictures.items()}


def validation_sheet(
    images: Sequence[np.ndarray],
    samples: Sequence[ODMDataSample],
    tile_height: int | None = 256,
    draw_gt: bool = True,
    draw_pred: bool = True,
    threshold: float = 0.5,
) -> np.ndarray:
    """Arrange the pictures of :func:`prediction_row`, one sample a row, over a legend.

    Args:
        images: uint8 (H, W, 3), BGR, one for each sample; at least one.
        samples: All with, or all without, ``gt_destylized`` and ``pred_destylized``.
        tile_height, draw_gt, draw_pred, threshold: As for :func:`prediction_row`.

    Returns:
        uint8 (H', W', 3), BGR.
    """
    rows = [
        prediction_row(image, sample, tile_height, draw_gt, draw_pred, threshold)
        for image, sample in zip(images, samples, strict=True)
    ]
    sheet = draw_sheet(list(rows[0]), [list(row.values()) for row in rows])
    return add_legend(sheet, LEGEND) if 'difference' in rows[0] else sheet


def attention_sheet(
    images: Sequence[np.ndarray],
    samples: Sequence[ODMDataSample],
    num_words: int = 3,
    tile_height: int = 256,
) -> np.ndarray:
    """Show where in the images words were looked for, and where they were located.

    A sample has a row: its image, its drawing over the image and, for each of its words, the
    attention and, where the model matches words, where the word was located. Words that the image
    shows come first, their names green; those of noise words are grey. Captions give the largest
    weight; colours are those of :func:`attention_overlay`, the same in every picture.

    Args:
        images: uint8 (H, W, 3), BGR, one for each sample; at least one.
        samples: With ``prompt``, ``pred_destylized``, ``pred_attention`` and the metainfo
            `batch_input_shape`.
        num_words: Words of a sample at most.
        tile_height: As for :func:`prediction_row`.

    Returns:
        uint8 (H', W', 3), BGR.
    """
    rows = [
        _attention_row(image, sample, num_words, tile_height)
        for image, sample in zip(images, samples, strict=True)
    ]
    columns = max(len(row) for row in rows)
    for row in rows:
        row += [np.full_like(row[0], 255)] * (columns - len(row))
    sheet = draw_sheet((), rows)
    return np.concatenate((sheet, _heat_scale(sheet.shape[1])))


def _attention_row(
    image: np.ndarray, sample: ODMDataSample, num_words: int, tile_height: int
) -> list[np.ndarray]:
    shape = image.shape[:2]
    size = _tile_size(shape, tile_height)
    padded = [
        whole * tile / side
        for whole, tile, side in zip(sample.batch_input_shape, size, shape, strict=True)
    ]
    drawn = ink_overlay(image, _numpy(sample.pred_destylized.probability[0]))
    tile = scale_picture(image, size)
    row = [add_caption(tile, 'image'), add_caption(scale_picture(drawn, size), 'drawing')]
    prompt, maps = sample.prompt, sample.pred_attention
    shown = prompt.shown.tolist()
    for word in sorted(range(len(prompt.texts)), key=lambda word: not shown[word])[:num_words]:
        for name in [name for name in ('attention', 'located') if name in maps]:
            weights = _numpy(getattr(maps, name)[word])
            caption = f'{prompt.texts[word]}: {name} {weights.max():.2f}'
            colour = COLOURS['prompted' if shown[word] else 'noise']
            row.append(add_caption(attention_overlay(tile, weights, padded), caption, colour))
    return row


def _heat_scale(width: int) -> np.ndarray:
    """A line that says which colour is which weight."""
    bar = np.full((10, min(width, 400) - 2 * MARGIN, 3), 128, np.uint8)
    bar = attention_overlay(bar, np.linspace(0, 1, bar.shape[1])[None], bar.shape[:2])
    entry = add_caption(bar, '0 (grey) to 1 (red)')
    line = np.full((entry.shape[0] + MARGIN, width, 3), 255, np.uint8)
    line[: entry.shape[0], MARGIN : MARGIN + entry.shape[1]] = entry
    return line


def _tile_size(shape: tuple[int, int], tile_height: int) -> tuple[int, int]:
    factor = min(tile_height / shape[0], 2 * tile_height / shape[1])
    if factor > 1:
        factor = int(factor)  # every pixel is then as large as the others
    return max(1, round(factor * shape[0])), max(1, round(factor * shape[1]))


def _numpy(values: Tensor) -> np.ndarray:
    return (values.float() if values.is_floating_point() else values).cpu().numpy()
