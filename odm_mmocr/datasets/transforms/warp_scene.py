"""All geometry of a sample in one homography."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmocr.registry import TRANSFORMS

from odm_mmocr.rendering import UnusablePolygon, split_polygon
from odm_mmocr.rendering.meshes import warp_points

from .prompt import check_spotting, readable

# Least projective depth of any point, relative to the centre of the view: what lies nearer to the
# horizon, or behind it, would come back mirrored.
MIN_DEPTH = 0.5
# The warp samples twice as finely as its output and is then averaged; below this scale that is not
# fine enough, and the image is averaged down beforehand.
MIN_WARP_SCALE = 0.25


@TRANSFORMS.register_module()
class WarpScene(BaseTransform):
    """Crop, scale, stretch, rotate, shear and tilt a scene, image and annotation as one.

    Every draw becomes part of one homography, by which the image is warped once, without aliasing,
    and the polygons are mapped point by point. Vertex order and the order of the instances stay,
    nothing is clipped, removed or mirrored, so that every key of an instance stays in step.
    Instances that are mostly out of view or too low to be read become ignored, and so do those
    whose polygon is none. All draws come from numpy's global generator. Coordinates are
    those of OpenCV: (0, 0) is the centre of the first pixel.

    Required Keys:

    - img (np.uint8)
    - gt_polygons (list[np.float32]), or gt_bboxes (np.float32), of which they are made
      (optional)
    - gt_texts (list[str]) (optional)
    - gt_ignored (np.bool_) (optional)
    - gt_char_polygons (list[np.float32]) (optional)

    Modified Keys:

    - img (np.uint8)
    - img_shape (tuple[int, int])
    - gt_polygons (list[np.float32])
    - gt_bboxes (np.float32), the bounds of the polygons
    - gt_ignored (np.bool_)
    - gt_char_polygons (list[np.float32])

    Added Keys:

    - homography (np.float64), (3, 3), from points of the loaded image to points of the result
    - scale_factor (tuple[float, float]), only without augmentation

    Args:
        scale (tuple[int, int]): Width and height of the result, in pixels. Defaults to (512, 512).
        augment (bool): Whether to draw a view at random. If not, the whole image is fitted in,
            aspect ratio kept, padded on the right and at the bottom, and of the arguments below
            only `min_inside`, `min_text_height` and `border` count. Defaults to True.
        crop (tuple[float, float]): Range of the side of the view, 1 being the smallest view that
            holds the whole image. Drawn evenly on a logarithmic scale. Defaults to (0.25, 1.0).
        stretch (tuple[float, float]): Range of the change of the aspect ratio, horizontal over
            vertical. Drawn evenly on a logarithmic scale. Defaults to (0.8, 1.25).
        rotation (float): Largest rotation to either side, in degrees. Defaults to 30.
        shear (float): Largest slant to either side, in degrees. Defaults to 10.
        perspective (float): Largest change of depth, and so of size, between the centre and the
            border of the view, as a share, 0 to 0.5, along each axis. Defaults to 0.15.
        distort_prob (float): Probability of rotation, shear and perspective; otherwise there is
            none of them. Defaults to 0.5.
        keep_word_prob (float): Probability that the view is placed so that a randomly chosen
            readable word is in it. Defaults to 0.9.
        min_inside (float): Share of an instance's area that must be in view, or it is ignored.
            Defaults to 0.5.
        min_text_height (float): Height in pixels of the result below which an instance is ignored.
            Defaults to 4.
        border (tuple[int, int, int]): Colour outside the image, in the image's channel order,
            0 to 255. Defaults to (104, 116, 124): the mean of ImageNet in BGR, which
            normalisation turns into zeros, like the padding of a batch.

    Raises:
        ValueError: If an argument is out of range; or, in use, if the annotation's keys are out of
            step or the prompt or the label has been made before.
    """

    def __init__(
        self,
        scale: tuple[int, int] = (512, 512),
        augment: bool = True,
        crop: tuple[float, float] = (0.25, 1.0),
        stretch: tuple[float, float] = (0.8, 1.25),
        rotation: float = 30.0,
        shear: float = 10.0,
        perspective: float = 0.15,
        distort_prob: float = 0.5,
        keep_word_prob: float = 0.9,
        min_inside: float = 0.5,
        min_text_height: float = 4.0,
        border: Sequence[int] = (104, 116, 124),
    ) -> None:
        self.scale = tuple(scale)
        self.augment = augment
        self.crop = tuple(crop)
        self.stretch = tuple(stretch)
        self.rotation = rotation
        self.shear = shear
        self.perspective = perspective
        self.distort_prob = distort_prob
        self.keep_word_prob = keep_word_prob
        self.min_inside = min_inside
        self.min_text_height = min_text_height
        self.border = tuple(border)
        self._check_arguments()

    def transform(self, results: dict) -> dict:
        """Warp image and annotation of `results`."""
        for key in ('gt_prompted', 'gt_destylized'):
            if key in results:
                raise ValueError(
                    f'{results.get("img_path")}: WarpScene found {key!r}; it must come before '
                    'DropText, NoiseText and RenderDestylizedLabel'
                )
        annotated = 'gt_polygons' in results or {'gt_bboxes', 'gt_texts'} <= results.keys()
        polygons = []
        if annotated:
            check_spotting(results)
            polygons = _points(results)
        height, width = results['img'].shape[:2]
        if self.augment:
            words = [p for p, ok in zip(polygons, readable(results)) if ok] if annotated else []
            homography = self._draw_homography((width, height), polygons, words)
        else:
            factor = min(self.scale[0] / width, self.scale[1] / height)
            homography = np.diag([factor, factor, 1.0])
            results['scale_factor'] = (factor, factor)
        # So far from edge to edge of the images; from here on from pixel centre to pixel centre.
        homography = _translation(-0.5, -0.5) @ homography @ _translation(0.5, 0.5)

        results['img'] = warp_image(results['img'], homography, self.scale, self.border)
        results['img_shape'] = self.scale[::-1]
        results['homography'] = homography @ results.get('homography', np.eye(3))
        if annotated:
            self._warp_instances(results, polygons, homography)
        return results

    def _warp_instances(
        self, results: dict, polygons: list[np.ndarray], homography: np.ndarray
    ) -> None:
        polygons = [warp_points(polygon, homography) for polygon in polygons]
        hidden = np.array(
            [
                area_inside(p, self.scale) < self.min_inside
                or _text_height(p) < self.min_text_height
                for p in polygons
            ],
            bool,
        )
        bounds = [
            np.concatenate((p.min(axis=0), p.max(axis=0))) if len(p) else np.zeros(4)
            for p in polygons
        ]
        results['gt_polygons'] = [p.astype(np.float32).ravel() for p in polygons]
        results['gt_bboxes'] = np.array(bounds, np.float32).reshape(-1, 4)
        results['gt_ignored'] = np.asarray(results['gt_ignored'], bool) | hidden
        if 'gt_char_polygons' in results:
            results['gt_char_polygons'] = [
                warp_points(quads, homography).astype(np.float32)
                for quads in results['gt_char_polygons']
            ]

    def _draw_homography(
        self,
        size: tuple[int, int],
        polygons: list[np.ndarray],
        words: list[np.ndarray],
    ) -> np.ndarray:
        """Draw a view of an image of `size` (width, height) that holds one of `words`, if any."""
        size, view = np.array(size, float), np.array(self.scale, float)
        zoom = (view / size).min() / _draw_log(self.crop)
        stretch = np.sqrt(_draw_log(self.stretch))
        zooms = np.array([zoom * stretch, zoom / stretch])
        linear, depth = np.diag(zooms), np.zeros(2)
        if np.random.uniform() < self.distort_prob:
            angle = np.deg2rad(np.random.uniform(-self.rotation, self.rotation))
            slant = np.tan(np.deg2rad(np.random.uniform(-self.shear, self.shear)))
            depth = np.random.uniform(-self.perspective, self.perspective, 2) / (view / 2)
            cos, sin = np.cos(angle), np.sin(angle)
            linear = linear @ [[1, slant], [0, 1]] @ [[cos, sin], [-sin, cos]]

        # The view stays within the image, or the image within the view, axis by axis.
        reach = view / 2 / zooms
        low, high = np.sort([reach, size - reach], axis=0)
        centre = np.random.uniform(low, high)
        words = [w for w in words if _text_height(w @ linear.T) >= self.min_text_height]
        if words and np.random.uniform() < self.keep_word_prob:
            word = words[np.random.randint(len(words))] @ linear.T
            extent = np.ptp(word, axis=0)
            room = np.maximum(view - extent, 0) / 2
            place = np.random.uniform(-room, room)
            centre = np.linalg.solve(linear, word.min(axis=0) + extent / 2 - place)
            centre = np.clip(centre, low, high)

        affine = np.eye(3)
        affine[:2, :2] = linear
        affine[:2, 2] = -linear @ centre
        corners = size * [[0, 0], [1, 0], [1, 1], [0, 1]]
        points = warp_points(np.concatenate([corners, *polygons]), affine)
        nearest = (points @ depth).min()
        if nearest < MIN_DEPTH - 1:
            depth *= (MIN_DEPTH - 1) / nearest
        tilt = np.eye(3)
        tilt[2, :2] = depth
        return _translation(*view / 2) @ tilt @ affine

    def _check_arguments(self) -> None:
        def require(ok: bool, name: str, expected: str) -> None:
            if not ok:
                raise ValueError(f'WarpScene: {name}={getattr(self, name)!r}, expected {expected}')

        require(
            len(self.scale) == 2 and all(isinstance(n, int) and n > 0 for n in self.scale),
            'scale',
            '(width, height), two integers above 0',
        )
        for name in ('crop', 'stretch'):
            value = getattr(self, name)
            ok = len(value) == 2 and 0 < value[0] <= value[1]
            require(ok, name, '(low, high) with 0 < low <= high')
        require(0 <= self.rotation <= 180, 'rotation', 'degrees, 0 to 180')
        require(0 <= self.shear < 90, 'shear', 'degrees, 0 to less than 90')
        require(0 <= self.perspective <= 0.5, 'perspective', 'a share, 0 to 0.5')
        for name in ('distort_prob', 'keep_word_prob', 'min_inside'):
            require(0 <= getattr(self, name) <= 1, name, 'a number from 0 to 1')
        require(self.min_text_height >= 0, 'min_text_height', 'pixels, 0 or more')
        ok = len(self.border) == 3 and all(0 <= value <= 255 for value in self.border)
        require(ok, 'border', 'three values from 0 to 255')

    def __repr__(self) -> str:
        arguments = ', '.join(
            f'{name}={value!r}' for name, value in vars(self).items() if not name.startswith('_')
        )
        return f'{type(self).__name__}({arguments})'


def warp_image(
    image: np.ndarray, homography: np.ndarray, size: tuple[int, int], border: Sequence[int]
) -> np.ndarray:
    """Warp an image by a homography, without aliasing where that makes it smaller.

    Args:
        image (ndarray): (H, W, 3) or (H, W) uint8.
        homography (ndarray): (3, 3), from pixel centres of the image to those of the result.
        size (tuple[int, int]): Width and height of the result.
        border (Sequence[int]): Colour where there is no image.

    Returns:
        ndarray: The warped image, uint8.
    """
    image = np.ascontiguousarray(image)  # OpenCV takes no negative strides
    # The scale at the centre of the view: the root of the determinant of the Jacobian there.
    origin = np.linalg.solve(homography, [(size[0] - 1) / 2, (size[1] - 1) / 2, 1])
    depth = homography[2] @ (origin / origin[2])
    scale = np.sqrt(abs(np.linalg.det(homography) / depth**3))
    if scale >= 1:
        return cv2.warpPerspective(image, homography, size, borderValue=border)
    if scale < MIN_WARP_SCALE:
        full = image.shape[1::-1]
        small = tuple(max(round(n * scale / MIN_WARP_SCALE), 1) for n in full)
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        homography = homography @ _resize(small, full)
    fine = (2 * size[0], 2 * size[1])
    image = cv2.warpPerspective(image, _resize(size, fine) @ homography, fine, borderValue=border)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def area_inside(polygon: np.ndarray, size: tuple[int, int]) -> float:
    """Share of a polygon's area that lies within an image.

    Args:
        polygon (ndarray): (n, 2) points, pixels.
        size (tuple[int, int]): Width and height of the image.

    Returns:
        float: 0 to 1; 0 for a polygon without area.
    """
    if len(polygon) < 3:
        return 0.0
    low, high = np.array([-0.5, -0.5]), np.array(size) - 0.5
    if (polygon >= low).all() and (polygon <= high).all():
        return 1.0 if _area(polygon) > 0 else 0.0
    if (polygon.max(axis=0) <= low).any() or (polygon.min(axis=0) >= high).any():
        return 0.0
    # Sutherland and Hodgman, "Reentrant polygon clipping" (1974): one border after the other.
    clipped = polygon
    for axis in (0, 1):
        for border, sign in ((low[axis], 1), (high[axis], -1)):
            inside = sign * (clipped[:, axis] - border)
            points = []
            for a, b, da, db in zip(
                clipped, np.roll(clipped, -1, axis=0), inside, np.roll(inside, -1)
            ):
                if da >= 0:
                    points.append(a)
                if da * db < 0:
                    points.append(a + (b - a) * da / (da - db))
            if not points:
                return 0.0
            clipped = np.array(points)
    area = _area(polygon)
    return min(_area(clipped) / area, 1.0) if area > 0 else 0.0


def _points(results: dict) -> list[np.ndarray]:
    """The polygons as (n, 2) points each."""
    points = []
    for number, polygon in enumerate(results['gt_polygons']):
        polygon = np.float64(polygon)
        if polygon.size % 2:
            raise ValueError(
                f'{results.get("img_path")}, instance {number}: polygon of {polygon.size} numbers; '
                'expected x and y of each point'
            )
        points.append(polygon.reshape(-1, 2))
    return points


def _area(polygon: np.ndarray) -> float:
    x, y = (polygon - polygon[0]).T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _text_height(polygon: np.ndarray) -> float:
    """Mean height across the reading direction, pixels; 0 where nothing can stand."""
    if len(polygon) % 2 == 0:
        try:
            top, bottom = split_polygon(polygon)
        except UnusablePolygon:
            return 0.0
        return np.hypot(*(bottom - top).T).mean()
    # Without a point across from every point no reading direction is known.
    return min(cv2.minAreaRect(polygon.astype(np.float32))[1])


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def _resize(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Resizing from one (width, height) to another, from pixel centre to pixel centre."""
    factors = np.diag([new[0] / old[0], new[1] / old[1], 1.0])
    return _translation(-0.5, -0.5) @ factors @ _translation(0.5, 0.5)


def _draw_log(bounds: tuple[float, float]) -> float:
    return float(np.exp(np.random.uniform(*np.log(bounds))))
