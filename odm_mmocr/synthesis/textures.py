"""Procedural backgrounds: plaster, bricks, tiles, planks, facades, skies, lights and clutter.

Every texture is a function of (size, rng) that returns uint8 (H, W, 3). Structure is drawn small or
as one channel and enlarged, because an image must not take longer than a few milliseconds.
"""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

Size = tuple[int, int]  # (width, height) in pixels
GRAIN_SIDE = 1024


@lru_cache(maxsize=1)
def _grain_bank() -> np.ndarray:
    """Standard normal noise times 32: int8 (3, 1024, 1024), of which each image takes a piece."""
    noise = np.random.default_rng(0).standard_normal((3, GRAIN_SIDE, GRAIN_SIDE), np.float32)
    return np.clip(32 * noise, -127, 127).astype(np.int8)


def add_grain(image: np.ndarray, sigma: float, coloured: bool, rng: np.random.Generator) -> None:
    """Add normal noise of ``sigma`` levels to uint8 (H, W, 3), in place."""
    bank = _grain_bank()
    half = GRAIN_SIDE // 2
    for y in range(0, image.shape[0], half):
        for x in range(0, image.shape[1], half):
            part = image[y : y + half, x : x + half]
            height, width = part.shape[:2]
            dy, dx = rng.integers(GRAIN_SIDE - height + 1), rng.integers(GRAIN_SIDE - width + 1)
            grain = list(bank[:, dy : dy + height, dx : dx + width])
            grain = cv2.merge(grain if coloured else [grain[0]] * 3)
            part[:] = cv2.addWeighted(part, 1, grain, sigma / 32, 0, dtype=cv2.CV_8U)


def random_colour(rng: np.random.Generator, vivid: float = 1.0) -> np.ndarray:
    """Draw a colour: float32 (3,) BGR, 0 to 255; ``vivid`` (0 to 1) bounds its saturation."""
    hsv = (rng.uniform(0, 180), 255 * vivid * rng.beta(1, 1.6), 255 * rng.beta(2, 1.5))
    return cv2.cvtColor(np.uint8([[hsv]]), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def shade(colour: np.ndarray, factor: float) -> np.ndarray:
    """Lighten (factor above 1) or darken a colour."""
    return np.clip(colour * factor, 0, 255)


def tint(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour uint8 (H, W) with a ramp between a dark and a light tone of one or two colours."""
    light = 0.4 * random_colour(rng, 0.6) + rng.uniform(80, 150)
    dark = light * rng.uniform(0.1, 0.5) + rng.uniform(-10, 10, 3)
    ramp = np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.7, 1.4)
    table = np.clip(dark + ramp * (light - dark), 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([grey] * 3), table.reshape(1, 256, 3))


def clouds(size: Size, rng: np.random.Generator, finest: int = 32) -> np.ndarray:
    """Smooth noise of several octaves: uint8 (H, W), mean about 128."""
    width, height = size
    small = (max(2, width // 4), max(2, height // 4))
    total = np.zeros((small[1], small[0]), np.float32)
    cells, weight = 2, 1.0
    while cells <= finest:
        octave = rng.random((cells + 1, cells + 1), np.float32) - 0.5
        total += weight * cv2.resize(octave, small, interpolation=cv2.INTER_CUBIC)
        cells, weight = cells * 2, weight * 0.6
    total *= 110 / (np.abs(total).max() + 1e-6)
    return cv2.resize((total + 128).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)


def _modulate(image: np.ndarray, field: np.ndarray, strength: float) -> np.ndarray:
    """Lighten and darken by a uint8 field around 128; strength 1 spans black to double."""
    table = np.clip(128 + strength * (np.arange(256) - 128), 0, 255).astype(np.uint8)
    return cv2.multiply(image, cv2.merge([cv2.LUT(field, table)] * 3), scale=1 / 128)


def _in_perspective(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """See a surface obliquely, enlarged so that it still fills the image."""
    height, width = image.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    inwards = corners.mean(0) - corners
    moved = corners + rng.uniform(0, 0.22, (4, 2)) * inwards
    matrix = cv2.getPerspectiveTransform(moved.astype(np.float32), corners)
    return cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR)


def plaster(size: Size, rng: np.random.Generator) -> np.ndarray:
    """A rough painted or concrete wall, sometimes stained."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = random_colour(rng, 0.5)
    image = _modulate(image, clouds(size, rng), rng.uniform(0.1, 0.5))
    add_grain(image, rng.uniform(2, 12), False, rng)
    return image


def sky(size: Size, rng: np.random.Generator) -> np.ndarray:
    """A gradient between two or three colours with faint clouds."""
    stops = np.stack([random_colour(rng) for _ in range(rng.integers(2, 4))])[:, None]
    image = cv2.resize(stops, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return _modulate(image, clouds(size, rng, 16), rng.uniform(0, 0.4))


def bricks(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Rows of bricks or tiles with joints; each brick has a tone of its own."""
    width, height = size
    brick_h = int(rng.integers(10, 60)) * max(1, min(size) // 256)
    brick_w = int(brick_h * rng.choice((1.0, 2.0, 2.6)))
    rows, columns = height // brick_h + 1, width // brick_w + 2
    base, spread = random_colour(rng, 0.7), rng.uniform(0.03, 0.2)
    tones = base * (1 + spread * rng.standard_normal((rows, columns, 1)))
    tones = np.clip(tones, 0, 255).astype(np.uint8)
    wall = np.repeat(np.repeat(tones, brick_h, 0), brick_w, 1)
    joint = max(1, brick_h // int(rng.integers(8, 24)))
    mortar = shade(base, rng.choice((0.5, 0.7, 1.4))).astype(np.uint8)
    wall[:, np.arange(wall.shape[1]) % brick_w < joint] = mortar
    if rng.random() < 0.7:
        for row in range(1, rows, 2):
            band = slice(row * brick_h, (row + 1) * brick_h)
            wall[band] = np.roll(wall[band], brick_w // 2, 1)
    wall[np.arange(wall.shape[0]) % brick_h < joint] = mortar
    image = _modulate(np.ascontiguousarray(wall[:height, :width]), clouds(size, rng), 0.3)
    add_grain(image, rng.uniform(2, 10), False, rng)
    return _in_perspective(image, rng) if rng.random() < 0.6 else image


def planks(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Wooden boards: noise stretched along the grain."""
    width, height = size
    board = max(8, int(min(size) / rng.uniform(3, 14)))
    fibres = rng.integers(70, 186, (height, max(2, width // 64)), np.uint8)
    fibres = cv2.resize(cv2.GaussianBlur(fibres, (1, 3), 0), size, interpolation=cv2.INTER_CUBIC)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = random_colour(rng, 0.6) * 0.6 + np.float32((20, 45, 75))
    for y in range(0, height, board):
        row = image[y : y + board]
        row[:] = np.clip(row * rng.uniform(0.8, 1.2), 0, 255)
        row[: max(1, board // 24)] //= 3
    image = _modulate(image, fibres, rng.uniform(0.3, 0.8))
    image = _modulate(image, clouds(size, rng, 8), 0.3)
    if rng.random() < 0.5:
        image = cv2.resize(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE), size)
    return _in_perspective(image, rng) if rng.random() < 0.5 else image


def facade(size: Size, rng: np.random.Generator) -> np.ndarray:
    """A house front with rows of windows."""
    width, height = size
    image = plaster(size, rng)
    pitch_x, pitch_y = (int(min(size) / n) for n in rng.uniform(2.5, 7, 2))
    window_w, window_h = int(pitch_x * rng.uniform(0.4, 0.8)), int(pitch_y * rng.uniform(0.4, 0.8))
    frame, glass = random_colour(rng, 0.3), random_colour(rng, 0.5) * 0.5
    for y in range(pitch_y // 4, height, pitch_y):
        for x in range(pitch_x // 4, width, pitch_x):
            cv2.rectangle(image, (x, y), (x + window_w, y + window_h), frame.tolist(), -1)
            border = max(1, window_w // 12)
            pane = image[y + border : y + window_h - border, x + border : x + window_w - border]
            pane[:] = shade(glass, rng.uniform(0.5, 1.6))
            pane[: len(pane) // 3] = shade(glass, rng.uniform(0.3, 1.2))
    return _in_perspective(image, rng)


def lights(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Out-of-focus lights at night."""
    small = (max(8, size[0] // 2), max(8, size[1] // 2))
    image = cv2.resize(
        np.stack([random_colour(rng) for _ in range(6)]).reshape(3, 2, 3) * 0.35, small
    ).astype(np.uint8)
    for _ in range(rng.integers(8, 40)):
        centre = (int(rng.integers(small[0])), int(rng.integers(small[1])))
        radius = int(min(small) * rng.uniform(0.01, 0.09)) + 1
        x0, y0 = max(0, centre[0] - radius), max(0, centre[1] - radius)
        part = image[y0 : centre[1] + radius + 1, x0 : centre[0] + radius + 1]
        disc = np.zeros_like(part)
        colour = (random_colour(rng) * rng.uniform(0.3, 0.9)).tolist()
        cv2.circle(disc, (centre[0] - x0, centre[1] - y0), radius, colour, -1)
        cv2.add(part, disc, part)
    sigma = rng.uniform(0.5, 4)
    return cv2.resize(cv2.GaussianBlur(image, (0, 0), sigma), size)


def clutter(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Overlapping shapes of many colours, as of goods, vehicles and street furniture."""
    small = (max(8, size[0] // 2), max(8, size[1] // 2))
    image = sky(small, rng)
    for _ in range(rng.integers(6, 30)):
        centre = rng.uniform(0, 1, 2) * small
        reach = np.maximum(3, rng.uniform(0.04, 0.35, 2) * min(small))
        colour = random_colour(rng).tolist()
        kind = rng.random()
        if kind < 0.6:
            box = (tuple(centre), tuple(2 * reach), rng.choice((0, 0, 0, rng.uniform(0, 90))))
            cv2.fillConvexPoly(image, cv2.boxPoints(box).astype(np.int32), colour, cv2.LINE_AA)
        elif kind < 0.8:
            cv2.ellipse(image, (tuple(centre), tuple(2 * reach), 0), colour, -1, cv2.LINE_AA)
        else:
            end = rng.uniform(0, 1, 2) * small
            line = (tuple(centre.astype(int).tolist()), tuple(end.astype(int).tolist()))
            cv2.line(image, *line, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
    image = cv2.resize(_modulate(image, clouds(small, rng), rng.uniform(0.2, 0.6)), size)
    add_grain(image, rng.uniform(1, 8), False, rng)
    return image


TEXTURES: tuple[Callable[[Size, np.random.Generator], np.ndarray], ...] = (
    plaster,
    plaster,
    sky,
    bricks,
    bricks,
    planks,
    facade,
    lights,
    clutter,
    clutter,
)
