"""What light and camera do to a scene: uneven lighting, blur, low resolution, noise, JPEG."""

import cv2
import numpy as np

from odm_mmocr.synthesis.textures import add_grain


def light_unevenly(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply by a smooth field and sometimes by the edge of a shadow.

    Args:
        image: uint8 (H, W, 3).
        strength: 0 to 1.
        rng: source of randomness.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = image.shape[:2]
    side = int(rng.integers(2, 5))
    spread = 0.45 * strength
    field = rng.uniform(1 - spread, 1 + 0.6 * spread, (side, side)).astype(np.float32)
    field = cv2.resize(field, (32, 32), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.25:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-10, 10)
        y, x = np.mgrid[-15.5:16, -15.5:16].astype(np.float32)
        distance = x * np.cos(angle) + y * np.sin(angle) - offset
        field *= 1 - 0.45 * strength / (1 + np.exp(-2 * distance))
    field = np.clip(128 * field, 20, 255).astype(np.uint8)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(image, cv2.merge([field] * 3), scale=1 / 128)


def photograph(
    image: np.ndarray, strength: float, text_height: float, rng: np.random.Generator
) -> np.ndarray:
    """Degrade an image as a hand-held camera would, mildly enough for the text to stay readable.

    Args:
        image: uint8 (H, W, 3), BGR.
        strength: 0 (nothing) to 1 (all that hard photographs show).
        text_height: height of the lowest word in pixels; blur is kept in proportion to it.
        rng: source of randomness.

    Returns:
        uint8 (H, W, 3).
    """
    if strength <= 0:
        return image
    if rng.random() < 0.5 * strength:
        image = light_unevenly(image, strength, rng)
    blur = strength * min(0.07 * text_height, 3.0)  # pixels, standard deviation
    kind = rng.random() / strength
    if kind < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), max(0.25, rng.uniform(0.3, 1) * blur))
    elif kind < 0.5:
        image = _shake(image, 3 * blur * rng.uniform(0.5, 1), rng)
    elif kind < 0.65:
        image = _lower_resolution(image, 1 + 0.8 * blur * rng.uniform(0.3, 1))
    if rng.random() < 0.5 * strength:
        add_grain(image, strength * rng.uniform(1, 13), rng.random() < 0.5, rng)
    if rng.random() < 0.6 * strength:
        quality = int(rng.uniform(95 - 65 * strength, 95))
        _, coded = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return image


def _shake(image: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Motion blur along a straight path of ``length`` pixels."""
    reach = max(1, round(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    angle = rng.uniform(0, np.pi)
    x, y = reach * np.cos(angle), reach * np.sin(angle)
    ends = np.round(16 * (reach + np.array(((-x, -y), (x, y))))).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _lower_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
