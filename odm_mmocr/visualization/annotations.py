"""Pictures of annotations: polygon, start vertex, reading direction and text."""

from collections.abc import Sequence

import cv2
import numpy as np

from .drawing import draw_polygon, text_width, write_lines

POLYGON = (60, 220, 60)
EXPECTED = (255, 160, 40)
START = (40, 40, 240)
ARROW = (0, 230, 255)
TEXT_SIZE = 15
ARROW_TIP = 12  # pixels
OUTLINE = 4  # pixels that lines and dots reach beyond what they mark


def draw_annotations(
    image: np.ndarray,
    polygons: Sequence[np.ndarray],
    texts: Sequence[str],
    region: tuple[float, float, float, float] | None = None,
    size: tuple[int, int] = (480, 200),
    expected: Sequence[np.ndarray] = (),
    caption: str = '',
) -> np.ndarray:
    """Draw polygons, each with its first vertex (red), reading direction (yellow) and text.

    The reading direction is shown where the polygon tells one: it has an even number of points, the
    first half along the top of the text.

    Args:
        image: uint8 (H, W, 3) BGR or (H, W).
        polygons: (k, 2) or flat, pixels of the image. Those of less than 3 points are left out.
        texts: One for each polygon; of lists of different length the rest is left out.
        region: What to show at least, as (left, top, right, bottom) in pixels of the image. None:
            all of it.
        size: Width and height of the picture, without the caption.
        expected: Polygons to draw thin, in blue, for comparison.
        caption: Written below the picture, in lines of its width.

    Returns:
        uint8 (h, w, 3), BGR; outside the image it is black.
    """
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if region is None:
        region = (0, 0, image.shape[1], image.shape[0])
    centre = np.array([region[0] + region[2], region[1] + region[3]]) / 2
    factor = min(size[0] / (region[2] - region[0]), size[1] / (region[3] - region[1]))
    view = np.array([[factor, 0, 0], [0, factor, 0]])
    view[:, 2] = np.array(size) / 2 - factor * centre
    if factor < 1:  # warpAffine does not average
        small = tuple(max(round(factor * side), 1) for side in image.shape[1::-1])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        picture = cv2.warpAffine(image, np.column_stack((np.eye(2), view[:, 2])), size)
    else:
        image = np.ascontiguousarray(image)  # OpenCV takes no negative strides
        picture = cv2.warpAffine(image, view, size, flags=cv2.INTER_LINEAR)

    for polygon in expected:
        draw_polygon(picture, _place(polygon, view), EXPECTED)
    labels = []
    for polygon, text in zip(polygons, texts):
        points = _place(polygon, view)
        if len(points) < 3:
            continue
        draw_polygon(picture, points, POLYGON, 2)
        _show_direction(picture, points)
        x, y = points.min(0)
        # Beside the polygon, so that what is in it can be seen.
        y = y - TEXT_SIZE - 2 * OUTLINE if y > 2 * TEXT_SIZE else points[:, 1].max() + OUTLINE
        if text:
            labels.append((text, (x, y)))
    for text, place in labels:
        _label(picture, text, place)
    return _add_below(picture, caption)


def _place(polygon: np.ndarray, view: np.ndarray) -> np.ndarray:
    points = np.asarray(polygon, np.float64).ravel()
    points = points[: len(points) // 2 * 2].reshape(-1, 2) @ view[:, :2].T + view[:, 2]
    return np.clip(points, -1e4, 1e4)


def _show_direction(picture: np.ndarray, points: np.ndarray) -> None:
    if len(points) % 2 == 0:
        half = len(points) // 2
        start, end = (points[0] + points[-1]) / 2, (points[half - 1] + points[half]) / 2
        tip = ARROW_TIP / max(np.linalg.norm(end - start), ARROW_TIP)
        start, end = (point.round().astype(int).tolist() for point in (start, end))
        cv2.arrowedLine(picture, start, end, ARROW, 1, cv2.LINE_AA, 0, tip)
    cv2.circle(picture, points[0].round().astype(int).tolist(), OUTLINE, START, -1, cv2.LINE_AA)


def _label(picture: np.ndarray, text: str, place: tuple[float, float]) -> None:
    height, width = TEXT_SIZE + OUTLINE, round(text_width(text, TEXT_SIZE)) + OUTLINE
    label = np.full((height, width, 3), 20, np.uint8)
    write_lines(label, (OUTLINE // 2, 1), [(text, (255, 255, 255))], TEXT_SIZE)
    x, y = (
        int(min(max(at, 0), max(end - size, 0)))
        for at, end, size in zip(place, picture.shape[1::-1], (width, height))
    )
    part = picture[y : y + height, x : x + width]
    part[...] = label[: part.shape[0], : part.shape[1]]


def _add_below(picture: np.ndarray, caption: str) -> np.ndarray:
    """Adds a strip with the caption, in lines of its width."""
    lines = _wrap(caption, picture.shape[1] - 2 * OUTLINE)
    if not lines:
        return picture
    height = int(1.3 * TEXT_SIZE) * len(lines) + 2 * OUTLINE
    strip = np.full((height, picture.shape[1], 3), 255, np.uint8)
    write_lines(strip, (OUTLINE, OUTLINE), [(line, (0, 0, 0)) for line in lines], TEXT_SIZE)
    return np.concatenate((picture, strip))


def _wrap(text: str, width: int) -> list[str]:
    """Breaks a text into lines of at most ``width`` pixels, between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f'{lines[-1]} {word}', TEXT_SIZE) <= width:
            lines[-1] += f' {word}'
        else:
            lines.append(word)
    return lines
