"""How words look: colours that can be read, boards, outlines, shadows, depth and glow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from odm_mmocr.synthesis.layout import Group
from odm_mmocr.synthesis.textures import add_grain, random_colour, shade

LUMA = np.float32((0.114, 0.587, 0.299))  # BGR weights of ITU-R BT.601
# Board and letter colours (BGR) that signs really have.
SIGN_COLOURS = np.float32(
    [
        [(255, 255, 255), (30, 30, 30)],
        [(20, 20, 20), (240, 240, 240)],
        [(150, 70, 10), (250, 250, 250)],
        [(90, 110, 0), (245, 250, 245)],
        [(40, 30, 190), (250, 250, 250)],
        [(20, 200, 250), (20, 20, 20)],
        [(220, 240, 245), (110, 40, 20)],
        [(230, 235, 240), (30, 30, 180)],
        [(40, 60, 90), (150, 210, 235)],
        [(60, 60, 60), (60, 190, 250)],
    ]
)


LEAST_EFFECT_HEIGHT = 16  # pixels; effects would only smear lower words
LEAST_HOLLOW_HEIGHT = 40  # pixels; the line of lower hollow letters would be too thin
RESTLESS = 42.0  # levels; ground that varies more swallows letters without an outline


@dataclass(frozen=True)
class Style:
    """Look of a group; lengths are shares of the word height, 0 switches an effect off.

    Attributes:
        alpha: opacity of the letters, 0 to 1.
        outline: width of a border around the letters.
        shadow: (x, y) offset and softness of a drop shadow.
        depth: (x, y) offset of the far end of letters that stand out from the wall.
        glow: width of a halo of light.
        hollow: letters are only a line of this width.
        gradient: change of brightness from the upper to the lower end, -1 to 1.
        worn: standard deviation of grain in the letters, in levels.
        embedded: how much of the structure behind plain letters shows through as relief, 0 to 1.
        soft: blur of the letters' edges, in pixels.
        board_alpha: opacity of the board.
        board_border: width of a line along the edge of the board.
    """

    alpha: float = 1.0
    outline: float = 0.0
    shadow: tuple[float, float, float] = (0.0, 0.0, 0.0)
    depth: tuple[float, float] = (0.0, 0.0)
    glow: float = 0.0
    hollow: float = 0.0
    gradient: float = 0.0
    worn: float = 0.0
    embedded: float = 0.0
    soft: float = 0.0
    board_alpha: float = 1.0
    board_border: float = 0.0


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a look: plain more often than not, one effect or two otherwise."""
    effect = rng.random()
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.12)
    offset = float(reach * np.cos(angle)), float(reach * abs(np.sin(angle)))
    return Style(
        alpha=float(rng.uniform(0.7, 1)) if rng.random() < 0.3 else 1.0,
        outline=float(rng.uniform(0.04, 0.1)) if 0.45 < effect < 0.6 else 0.0,
        shadow=(*offset, float(rng.uniform(0, 0.08))) if 0.55 < effect < 0.75 else (0.0, 0.0, 0.0),
        depth=offset if 0.75 < effect < 0.83 else (0.0, 0.0),
        glow=float(rng.uniform(0.1, 0.25)) if 0.83 < effect < 0.88 else 0.0,
        hollow=float(rng.uniform(0.05, 0.09)) if 0.88 < effect < 0.91 else 0.0,
        gradient=float(rng.uniform(-0.5, 0.5)) if rng.random() < 0.3 else 0.0,
        worn=float(rng.uniform(4, 22)) if rng.random() < 0.25 else 0.0,
        embedded=float(rng.uniform(0.2, 0.7)) if effect < 0.3 else 0.0,
        soft=float(rng.uniform(0.3, 0.9)) if rng.random() < 0.5 else 0.0,
        board_alpha=float(rng.uniform(0.75, 1)) if rng.random() < 0.3 else 1.0,
        board_border=float(rng.uniform(0.03, 0.08)) if rng.random() < 0.35 else 0.0,
    )


def luma(colour: np.ndarray) -> np.ndarray:
    """Brightness of (..., 3) BGR colours, 0 to 255."""
    return colour @ LUMA


@dataclass(frozen=True)
class Ground:
    """What lies behind a word: brightness, how much it varies, and the difference to keep.

    Attributes:
        mean, spread: of the brightness, in levels.
        needed: difference of brightness from the mean that makes letters readable, in levels.
    """

    mean: float
    spread: float
    needed: float


def look_behind(
    image: np.ndarray, mask: np.ndarray, corner: tuple[int, int], contrast: float, alpha: float
) -> Ground:
    """Measure the background of a word.

    Args:
        image: uint8 (H, W, 3) BGR.
        mask: uint8 (h, w) glyphs.
        corner: x and y of the mask in the image.
        contrast: difference of brightness to keep on even ground, in levels; a restless ground,
            thin and transparent letters ask for more.
        alpha: opacity of the letters.
    """
    height, width = mask.shape
    step = max(1, int(np.sqrt(height * width / 300)))
    region = image[corner[1] : corner[1] + height : step, corner[0] : corner[0] + width : step]
    brightness = luma(region.astype(np.float32))
    mean, spread = float(brightness.mean()), float(brightness.std())
    # What a blur of a pixel leaves of the letters: thin strokes fade, broad ones do not.
    ink = cv2.blur(mask, (3, 3))[mask > 64]
    opacity = alpha * (float(ink.mean()) / 255 if ink.size else 0.5)
    reachable = max(mean, 255 - mean) - 12
    return Ground(mean, spread, min((contrast + 0.8 * spread) / opacity, reachable))


def readable_colour(
    grounds: Sequence[Ground], rng: np.random.Generator, preferred: np.ndarray | None = None
) -> np.ndarray:
    """Choose a colour, float32 (3,) BGR, that stands out from all grounds if any colour does.

    Args:
        grounds: what lies behind the words.
        rng: source of randomness.
        preferred: colour to take if it stands out.
    """
    for attempt in range(10):
        if attempt == 0 and preferred is not None:
            colour = preferred
        elif rng.random() < 0.35:
            colour = rng.uniform(*((205, 255) if rng.random() < 0.5 else (0, 50))) + rng.uniform(
                -12, 12, 3
            )
        else:
            colour = random_colour(rng)
        if all(stands_out(colour, ground) for ground in grounds):
            return np.clip(colour, 0, 255).astype(np.float32)
    darkest, lightest = min(g.mean for g in grounds), max(g.mean for g in grounds)
    light = 255 - lightest > darkest
    return np.full(3, 250.0 if light else 5.0, np.float32) - rng.uniform(-5, 5, 3)


def stands_out(colour: np.ndarray, ground: Ground, share: float = 1.0) -> bool:
    """Whether a colour keeps ``share`` of the needed difference from what lies behind it."""
    return bool(abs(luma(colour) - ground.mean) >= share * ground.needed)


def paint_group(
    image: np.ndarray,
    group: Group,
    patches: Sequence[tuple[np.ndarray, tuple[int, int]]],
    style: Style,
    contrast: float,
    rng: np.random.Generator,
) -> None:
    """Paint a group into an image, in place.

    Args:
        image: uint8 (H, W, 3) BGR.
        group: what to paint.
        patches: glyph mask and position of each word, as ``warp_strip`` returns them.
        style: look.
        contrast: least difference of brightness between letters and background, in levels.
        rng: source of randomness.
    """
    preferred = None
    if group.plate is not None:
        board, preferred = SIGN_COLOURS[rng.integers(len(SIGN_COLOURS))]
        if rng.random() < 0.5:
            board, preferred = random_colour(rng), None
        _paint_board(image, group, board, style, rng)
    grounds = [look_behind(image, *patch, contrast, style.alpha) for patch in patches]
    colour = readable_colour(grounds, rng, preferred)
    for word, (mask, corner), ground in zip(group.words, patches, grounds):
        own, look = colour, style
        if not stands_out(colour, ground, 0.8):
            # The ground changes under this word of the group.
            own = np.full(3, 250.0 if ground.mean < 127.5 else 5.0, np.float32)
        if ground.spread > RESTLESS:
            look = replace(style, alpha=1.0, outline=max(style.outline, 0.06), embedded=0.0)
        _paint_word(image, mask, corner, word.height, own, ground.mean, look, rng)


def _paint_board(
    image: np.ndarray, group: Group, colour: np.ndarray, style: Style, rng: np.random.Generator
) -> None:
    points = group.plate
    low = np.floor(points.min(0)).astype(int) - 2
    width, height = np.ceil(points.max(0)).astype(int) + 3 - low
    outline = np.round((points - low) * 16).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, 4)
    if rng.random() < 0.4:
        offset = max(1, int(0.06 * min(width, height)))
        soft = cv2.copyMakeBorder(mask, *[offset] * 4, cv2.BORDER_CONSTANT, value=0)
        soft = cv2.blur(soft, (2 * offset + 1, 2 * offset + 1))
        blend(image, soft, (low[0] - offset + offset // 3, low[1]), np.zeros(3), 0.5)
    fill = _shaded(mask.shape, colour, style.gradient / 3)
    if style.worn:
        add_grain(fill, style.worn / 3, False, rng)
    blend(image, mask, low, fill, style.board_alpha)
    if style.board_border:
        line = np.zeros_like(mask)
        thickness = max(1, round(style.board_border * group.words[0].height))
        cv2.polylines(line, [outline], True, 255, thickness, cv2.LINE_AA, 4)
        edge = shade(colour, 0.4 if luma(colour) > 128 else 2.0) + (20 if luma(colour) < 60 else 0)
        blend(image, cv2.min(line, mask), low, np.clip(edge, 0, 255), style.board_alpha)


def _paint_word(
    image: np.ndarray,
    mask: np.ndarray,
    corner: tuple[int, int],
    height: float,
    colour: np.ndarray,
    behind: float,
    style: Style,
    rng: np.random.Generator,
) -> None:
    ink = colour
    if height >= LEAST_EFFECT_HEIGHT:
        reach = round(0.3 * height) + 2  # effects reach beyond the glyphs
        mask = cv2.copyMakeBorder(mask, *[reach] * 4, cv2.BORDER_CONSTANT, value=0)
        corner = (corner[0] - reach, corner[1] - reach)
        contrary = 0.85 * (0.0 if luma(colour) > behind else 255.0) + 0.15 * colour
        _paint_under_letters(image, mask, corner, height, colour, contrary, style)
        if style.gradient or style.worn:
            # Away from the background, so that the worse end keeps the contrast.
            away = np.sign(luma(colour) - behind) * abs(style.gradient) / 2
            ink = _shaded(mask.shape, colour, away)
        if style.worn:
            add_grain(ink, style.worn, False, rng)
        if style.soft:
            mask = cv2.GaussianBlur(mask, (3, 3), style.soft)
    if style.hollow and height >= LEAST_HOLLOW_HEIGHT:
        mask = cv2.subtract(cv2.dilate(mask, _disc(style.hollow * height)), mask)
    blend(image, mask, corner, ink, style.alpha, style.embedded, behind)


def _paint_under_letters(
    image: np.ndarray,
    mask: np.ndarray,
    corner: tuple[int, int],
    height: float,
    colour: np.ndarray,
    contrary: np.ndarray,
    style: Style,
) -> None:
    if style.glow:
        halo = cv2.dilate(mask, _disc(style.glow / 2 * height))
        halo = cv2.GaussianBlur(halo, (0, 0), max(0.5, style.glow / 2 * height))
        blend(image, halo, corner, contrary, 0.8)
    if any(style.shadow):
        x, y, softness = (share * height for share in style.shadow)
        cast = _shift(mask, x, y)
        if softness:
            cast = cv2.GaussianBlur(cast, (0, 0), max(0.5, softness))
        blend(image, cast, corner, contrary, 0.7)
    if any(style.depth):
        x, y = (share * height for share in style.depth)
        side = mask
        for share in np.linspace(0, 1, 1 + max(1, round(np.hypot(x, y))))[1:]:
            side = cv2.max(side, _shift(mask, x * share, y * share))
        blend(image, side, corner, 0.6 * contrary + 0.4 * colour, 1.0)
    if style.outline:
        around = cv2.dilate(mask, _disc(style.outline * height))
        blend(image, around, corner, contrary, style.alpha)


def blend(
    image: np.ndarray,
    mask: np.ndarray,
    corner: Sequence[int],
    colour: np.ndarray,
    alpha: float,
    embedded: float = 0.0,
    level: float = 0.0,
) -> None:
    """Lay a colour over an image where a mask says so, in place.

    Args:
        image: uint8 (H, W, 3).
        mask: uint8 (h, w), 0 to 255; what lies outside the image is left out.
        corner: x and y of the mask's first pixel in the image.
        colour: (3,), or uint8 (h, w, 3).
        alpha: opacity of the mask's full value, 0 to 1.
        embedded: share, 0 to 1, of the image's difference from ``level`` to add to the colour.
        level: mean brightness of the image there.
    """
    x, y = int(corner[0]), int(corner[1])
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], image.shape[1]), min(y + mask.shape[0], image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    region = image[y0:y1, x0:x1]
    if colour.ndim == 1:
        fill = np.empty_like(region)
        fill[:] = np.clip(colour, 0, 255)
    else:
        fill = np.ascontiguousarray(colour[part])
    if embedded:
        fill = cv2.addWeighted(fill, 1, region, embedded, -embedded * level)
    weight = mask[part].astype(np.float32) * np.float32(alpha / 255)
    region[:] = cv2.blendLinear(fill, np.ascontiguousarray(region), weight, 1 - weight)


def _shaded(shape: tuple[int, int], colour: np.ndarray, gradient: float) -> np.ndarray:
    """A colour that grows lighter or darker downwards: uint8 (h, w, 3)."""
    factors = 1 + np.linspace(0, gradient, shape[0], dtype=np.float32)[:, None, None]
    filled = np.empty((*shape, 3), np.uint8)
    filled[:] = np.clip(colour * factors + 40 * (factors - 1), 0, 255)
    return filled


def _disc(radius: float) -> np.ndarray:
    radius = max(1, round(radius))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _shift(mask: np.ndarray, x: float, y: float) -> np.ndarray:
    matrix = np.float32(((1, 0, round(x)), (0, 1, round(y))))
    return cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
