"""Maps over photographs: where a word was looked for, and what was drawn."""

import cv2
import numpy as np

INK = (255, 60, 255)  # BGR: a colour that is rare in photographs
OPACITY = 0.65  # of the heat where a weight is 1, so that the word is seen through it
HOTTEST = 225  # in OpenCV's colour map, whose end is too dark for a maximum


def attention_overlay(
    image: np.ndarray, weights: np.ndarray, padded_shape: tuple[float, float]
) -> np.ndarray:
    """Show by heat, over a grey image, where in it a word was looked for.

    Colours mean the same in every picture: the image alone is 0, then blue, green, yellow, and red
    is 1. Between the centres of cells, weights are interpolated.

    Args:
        image: uint8 (H, W, 3), BGR.
        weights: (rows, columns) from 0 to 1, one of `pred_attention.attention` or `.located`.
        padded_shape: Height and width of what the cells cover, in pixels of ``image``: the
            `batch_input_shape` where the image is shown at network size. The image is its upper
            left part.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        ValueError: ``weights`` is not a map, or ``padded_shape`` is smaller than the image.
    """
    weights = np.asarray(weights, np.float32)
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f'weights have shape {weights.shape}; expected (rows, columns) of a word')
    height, width = image.shape[:2]
    padded = tuple(round(side) for side in padded_shape)
    if padded[0] < height or padded[1] < width:
        raise ValueError(
            f'padded_shape is {padded[0]}x{padded[1]} and the image {height}x{width}: '
            'scale the padded shape as the image was scaled'
        )
    heat = cv2.resize(weights, padded[::-1], interpolation=cv2.INTER_LINEAR)[:height, :width]
    heat = heat.clip(0, 1)
    colours = cv2.applyColorMap(np.rint(HOTTEST * heat).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)
    # The root lets weak attention be seen.
    return _mix(grey[..., None], colours, OPACITY * np.sqrt(heat))


def ink_overlay(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Lay drawn ink, in magenta, over a darkened image.

    Args:
        image: uint8 (H, W, 3), BGR.
        probability: (H, W) from 0 to 1, of ink.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        ValueError: The two differ in size.
    """
    if probability.shape != image.shape[:2]:
        raise ValueError(
            f'probability has shape {probability.shape} and the image {image.shape[:2]}; '
            'bring the map to the size of the image'
        )
    return _mix(0.5 * image, INK, np.asarray(probability, np.float32))


def _mix(under: np.ndarray, over: np.ndarray | tuple, share: np.ndarray) -> np.ndarray:
    share = share[..., None]
    mixed = (1 - share) * under + share * np.asarray(over, np.float32)
    return np.rint(mixed).astype(np.uint8)
