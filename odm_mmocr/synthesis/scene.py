"""Annotated scene-text images from backgrounds, words and fonts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from odm_mmocr.rendering.meshes import map_points, warp_strip
from odm_mmocr.rendering.strips import Strip, render_strip
from odm_mmocr.synthesis.appearance import Style, draw_style, paint_group
from odm_mmocr.synthesis.backgrounds import Backgrounds
from odm_mmocr.synthesis.camera import photograph
from odm_mmocr.synthesis.font_pool import FontPool
from odm_mmocr.synthesis.layout import (
    TURN,
    Geometry,
    Group,
    Occupancy,
    arrange_lines,
    draw_geometry,
    lay_out,
)
from odm_mmocr.synthesis.words import WordSource

# Cap heights, in pixels, at which glyphs are drawn. Few of them, so that they are found in the
# cache; the strip is then shrunk into its polygon.
CAP_HEIGHTS = (32, 64, 128, 256)
ATTEMPTS = 6  # to find a place for a group, ever plainer and smaller
MAX_FAILURES = 4  # groups without a place before the image counts as full
MARGIN = 5  # pixels of the image's width and height that no word reaches into
CHARACTER_WIDTH = 0.75  # of a capital letter's height, on average
ARC_WORDS = (2, 5)  # words of a line that is bent strongly
ARC_TURN = (1.5, 4.5)  # radians of its arc
MAX_BOARD_TURN = 1.2  # radians; boards that are bent more look like no board
SMALL_SIDE = 256  # pixels; images whose shorter side is below show words of readable size only


@dataclass
class Scene:
    """An image and its annotation; the lists have one entry a word.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        texts: what the words say.
        polygons: float32 (2n, 2) in pixels, tight to the ink, clockwise from the top left corner
            of the first letter; n is 2 for straight words and more for curved ones.
        character_quads: float32 (C, 4, 2), one quadrilateral a character, in the same order of
            corners.
        glyphs: mask of the letters as uint8 (h, w), 0 to 255, and x and y of its first pixel in
            the image; empty unless asked for.
    """

    image: np.ndarray
    texts: list[str] = field(default_factory=list)
    polygons: list[np.ndarray] = field(default_factory=list)
    character_quads: list[np.ndarray] = field(default_factory=list)
    glyphs: list[tuple[np.ndarray, tuple[int, int]]] = field(default_factory=list)

    def glyph_mask(self) -> np.ndarray:
        """All letters in one picture: uint8 (H, W), 0 to 255."""
        mask = np.zeros(self.image.shape[:2], np.uint8)
        for patch, (x, y) in self.glyphs:
            region = mask[y : y + patch.shape[0], x : x + patch.shape[1]]
            np.maximum(region, patch, out=region)
        return mask


class SceneSynthesizer:
    """Makes scenes; the same for the same state of the generator it is called with.

    Args:
        size: (width, height) of the images in pixels, each at least 64.
        words: text file with one word a line, sequence of words, or None for the built-in list.
        fonts: folder, font file (the name alone of one that comes with matplotlib), sequence of
            these, or None for those installed.
        backgrounds: folder of photographs without text, or None for textures and the photographs
            of scikit-image.
        words_per_image: least and largest number of words. Where there is no room fewer are set,
            but always one. Words too long for the width are passed over.
        text_height: least and largest height of words in pixels. None: 10 (14 in images of less
            than 256 pixels) to 0.22 of the shorter side.
        random_words: share (0 to 1) of random numbers, prices, times and codes. None: 0.25 with the
            built-in list, 0 with given words.
        vary_case: whether to redraw the casing of words. None: only of the built-in ones.
        texture_share: share (0 to 1) of procedural backgrounds. None: as
            :class:`~odm_mmocr.synthesis.backgrounds.Backgrounds` chooses.
        curved: share (0 to 1) of single words and lines that are bent.
        arcs: share (0 to 1) of groups that are one line of two to five words, bent strongly, as
            around a badge; where enough words are left.
        blocks: share (0 to 1) of the other groups that are several lines of words, where enough
            are left.
        boards: share (0 to 1) of groups that stand on a sign board.
        max_rotation: degrees, 0 to 180.
        vertical: share (0 to 1) of groups that are turned by a quarter besides.
        perspective: strength (0 to 1) of perspective and slant.
        effects: share (0 to 1) of groups whose letters may have outlines, shadows, wear and the
            like; the others are plainly painted, with an outline only on restless ground.
        contrast: least difference of brightness between letters and what is behind, in levels, 0
            to 255.
        degradation: strength (0 to 1) of uneven lighting, blur, noise and JPEG.
        with_glyphs: whether scenes carry the exact masks of their letters (hollow ones filled).
        part: 'train' or 'test' for the fonts, words and photographs of this part only, see
            :mod:`odm_mmocr.synthesis.parts`; None: all.

    Raises:
        FileNotFoundError: a file or folder does not exist.
        ValueError: a setting is out of range, a folder or file has nothing usable, or nothing of
            the part, a word cannot be drawn with the fonts, or all words are too long for the
            images.
    """

    def __init__(
        self,
        size: tuple[int, int] = (512, 512),
        words: str | Path | Sequence[str] | None = None,
        fonts: str | Path | Sequence[str | Path] | None = None,
        backgrounds: str | Path | None = None,
        words_per_image: tuple[int, int] = (1, 8),
        text_height: tuple[float, float] | None = None,
        random_words: float | None = None,
        vary_case: bool | None = None,
        texture_share: float | None = None,
        curved: float = 0.2,
        arcs: float = 0.0,
        blocks: float = 0.3,
        boards: float = 0.3,
        max_rotation: float = 30.0,
        vertical: float = 0.04,
        perspective: float = 1.0,
        effects: float = 1.0,
        contrast: float = 55.0,
        degradation: float = 1.0,
        with_glyphs: bool = False,
        part: str | None = None,
    ):
        self.size = _check_size(size)
        self.words_per_image = _check_range('words_per_image', words_per_image, 1)
        if text_height is None:
            shorter = min(self.size)
            least = 14.0 if shorter < SMALL_SIDE else 10.0
            text_height = (least, max(0.22 * shorter, 1.5 * least))
        self.text_height = _check_range('text_height', text_height, 4)
        self.curved = _check_share('curved', curved)
        self.arcs = _check_share('arcs', arcs)
        self.blocks = _check_share('blocks', blocks)
        self.boards = _check_share('boards', boards)
        self.vertical = _check_share('vertical', vertical)
        self.perspective = _check_share('perspective', perspective)
        self.effects = _check_share('effects', effects)
        self.degradation = _check_share('degradation', degradation)
        self.max_rotation = _check_number('max_rotation', max_rotation, 180)
        self.contrast = _check_number('contrast', contrast, 255)
        self.with_glyphs = with_glyphs
        self.words = WordSource(words, random_words, vary_case, part)
        self.fonts = FontPool(fonts, part)
        self.fonts.check_texts(self.words.words + self.words.additions())
        self.max_length = int((self.size[0] - MARGIN) / (CHARACTER_WIDTH * self.text_height[0]))
        self.words.keep_up_to(self.max_length)
        self.backgrounds = Backgrounds(backgrounds, self.size, texture_share, part)

    def __call__(self, rng: np.random.Generator) -> Scene:
        """Make a scene.

        Args:
            rng: source of all randomness.
        """
        scene = Scene(self.backgrounds(rng))
        groups = self._place_groups(Occupancy(scene.image), rng)
        shape = scene.image.shape[:2]
        for group in groups:
            glyphs = [
                warp_strip(word.strip.mask, word.polygon, shape, word.strip.size)
                for word in group.words
            ]
            style = draw_style(rng)
            if self.effects < 1 and rng.random() >= self.effects:
                style = Style()
            paint_group(scene.image, group, glyphs, style, self.contrast, rng)
            for word, glyph in zip(group.words, glyphs):
                strip = word.strip
                scene.texts.append(strip.text)
                scene.polygons.append(word.polygon.astype(np.float32))
                scene.character_quads.append(
                    map_points(strip.character_quads(), word.polygon, strip.size)
                )
                if self.with_glyphs:
                    scene.glyphs.append(glyph)
        lowest = min(word.height for group in groups for word in group.words)
        scene.image = photograph(scene.image, self.degradation, lowest, rng)
        return scene

    def _place_groups(self, occupancy: Occupancy, rng: np.random.Generator) -> list[Group]:
        missing = int(rng.integers(self.words_per_image[0], self.words_per_image[1] + 1))
        groups: list[Group] = []
        failures = 0
        while missing and failures < MAX_FAILURES:
            count, arc = (1, False) if failures else self._draw_kind(missing, rng)
            required = not groups and failures == MAX_FAILURES - 1
            group = self._place_group(count, arc, occupancy, required, rng)
            if group is None:
                failures += 1
                continue
            groups.append(group)
            missing -= len(group.words)
        return groups

    def _draw_kind(self, missing: int, rng: np.random.Generator) -> tuple[int, bool]:
        """Number of words in the next group, and whether they stand on a strongly bent line."""
        if self.arcs and missing >= ARC_WORDS[0] and rng.random() < self.arcs:
            return int(rng.integers(ARC_WORDS[0], min(missing, ARC_WORDS[1]) + 1)), True
        return _draw_count(missing, self.blocks, rng), False

    def _place_group(
        self, count: int, arc: bool, occupancy: Occupancy, required: bool, rng: np.random.Generator
    ) -> Group | None:
        """Place a group of ``count`` words; None if there is no room, unless ``required``.

        With ``arc`` they stand on one line that is bent strongly.
        """
        low, high = self.text_height
        height = low * (high / low) ** rng.beta(1.0, 1.3)
        if count > 2:
            height = min(height, low + 0.3 * (high - low))
        lines = self._draw_lines(count, arc, height, rng)
        strips, boxes = arrange_lines(lines, _cap_height(height), rng)
        # Too long a line is set narrower rather than too low to be read.
        room = (self.size[0] - MARGIN) / (low * np.ptp(boxes[:, 0::2]))
        boxes[:, 0::2] *= np.clip(room, 0.7, 1)
        extent = tuple(boxes[:, 2:].max(0) - boxes[:, :2].min(0))
        plate = None
        if rng.random() < self.boards * (1.5 if len(lines) > 1 else 1):
            plate = (float(rng.uniform(0.2, 0.7)), float(rng.choice((0.0, 0.15, 0.5))))
        bounds = (self.size[0] - MARGIN, self.size[1] - MARGIN)
        for attempt in range(ATTEMPTS):
            # The later the attempt, the plainer and smaller.
            calm = attempt >= ATTEMPTS - 2
            bend = not calm and (arc or (len(lines) == 1 and rng.random() < self.curved))
            rotation, vertical = (0.0, 0.0) if calm else (self.max_rotation, self.vertical)
            turn = ARC_TURN if arc else TURN
            geometry = draw_geometry(extent, bend, rotation, rng, vertical, self.perspective, turn)
            if attempt == ATTEMPTS - 1:
                geometry, plate = Geometry(), None
            board = plate if abs(geometry.turn) < MAX_BOARD_TURN else None
            group = lay_out(strips, boxes, geometry, height, bounds, board)
            readable = min(word.height for word in group.words) >= 0.99 * low
            last_resort = required and attempt == ATTEMPTS - 1
            if (readable or last_resort) and occupancy.place(group, rng):
                return group
            height = low + 0.6 * (height - low)
        return None

    def _draw_lines(
        self, count: int, arc: bool, height: float, rng: np.random.Generator
    ) -> list[list[Strip]]:
        """Draw words in one font and spread them over lines."""
        texts = [self._draw_text(rng) for _ in range(count)]
        common = self.fonts.pick(texts[0], height, rng)
        strips = []
        for text in texts:
            fonts = common if common.covers(text) else self.fonts.pick(text, height, rng)
            strips.append(render_strip(text, fonts, _cap_height(height)))
        per_line = count
        if count > 2 and not arc:
            per_line = int(rng.integers(1, 1 + max(2, (count + 1) // 2)))
        return [strips[start : start + per_line] for start in range(0, count, per_line)]

    def _draw_text(self, rng: np.random.Generator) -> str:
        text = self.words(rng)
        return text if len(text) <= self.max_length + 1 else self.words.vocabulary_word(rng)


def _draw_count(missing: int, blocks: float, rng: np.random.Generator) -> int:
    """Number of words in a group that is no arc."""
    if missing >= 3 and rng.random() < blocks:
        return int(rng.integers(3, min(missing, 10) + 1))
    return 2 if missing >= 2 and rng.random() < 0.2 else 1


def _cap_height(height: float) -> int:
    """Resolution that gives crisp edges at a word height, both in pixels."""
    return next((cap for cap in CAP_HEIGHTS if cap >= 1.6 * height), CAP_HEIGHTS[-1])


def _check_size(size: Sequence[int]) -> tuple[int, int]:
    width, height = (int(side) for side in size)
    if min(width, height) < 64:
        raise ValueError(f'size is {tuple(size)}, expected (width, height) of at least 64 pixels')
    return width, height


def _check_share(name: str, share: float) -> float:
    return _check_number(name, share, 1)


def _check_number(name: str, value: float, largest: float) -> float:
    if not 0 <= value <= largest:
        raise ValueError(f'{name} is {value}, expected a number from 0 to {largest}')
    return value


def _check_range(name: str, limits: Sequence[float], least: float) -> tuple[float, float]:
    low, high = limits
    if not least <= low <= high:
        raise ValueError(f'{name} is {tuple(limits)}, expected (least, largest) from {least} up')
    return low, high
