"""The plane on which curved text was written, found from its polygon alone.

A camera squeezes and tilts what was written with letters of one height along a line. Of all
homographies, that one is sought under which the rungs of the polygon, from each point of its upper
side to the one across from it, come out equally long and square to the line. Along that line the
letters are spaced evenly; in the image they are not.
"""

import math

import numpy as np

# The parameters of a homography but for shift, rotation and scale, which change no proportion:
# depth along x and y, stretch along an axis and along its diagonals. In units of the polygon's
# extent, so that all are below 1.
_PARAMETERS = 4
_MAX_DEPTH = 0.6
_MAX_STRETCH = 0.6
_MAX_STEP = 0.3
_ROUNDS = 6
_CONVERGED = 1e-3
_DIFFERENCE = 1e-4  # for the derivatives
# How far the parameters of a photograph are expected to be from 0. Small: a hand that sets points
# carelessly must not pass for a tilt.
_SPREAD = 0.03
# What is assumed of a polygon with too few points to tell how carefully they were set: error of
# the points as a share of the text's height.
_CARELESSNESS = 0.003
_NO_PRIOR = 0.005
_LEAST_RUNG = 1e-3  # of the extent: where a polygon ends in a point


def find_plane(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Homography from the image to the plane on which a curved text was written.

    The more the points contradict any plane, the less a tilt is believed: with carelessly set
    points the result is near a mere shift.

    Args:
        top, bottom: float64 (k, 2), the two sides of the polygon in reading direction, k at least
            2, no two points of a side or across from each other the same; pixels.

    Returns:
        float64 (3, 3). The plane's coordinates are of the size of pixels, and the depth of every
        point of the polygon is positive.
    """
    points = np.concatenate((top, bottom))
    centre = points.mean(0)
    extent = np.abs(points - centre).max()
    points = (points - centre) / extent

    count = len(top)
    freedom = 2 * count - 2 - _PARAMETERS
    parameters, misfit = _fit(points, np.zeros(_PARAMETERS), _NO_PRIOR)
    error = misfit / freedom if freedom > 0 else _CARELESSNESS**2
    prior = math.sqrt(error / count) / _SPREAD
    if prior > _NO_PRIOR:
        parameters, _ = _fit(points, parameters, prior)

    depth_x, depth_y, axis, diagonal = parameters.tolist()
    plane = np.array(
        (
            (extent * (1 + axis), extent * diagonal, 0),
            (extent * diagonal, extent * (1 - axis), 0),
            (depth_x, depth_y, 1),
        )
    )
    plane[:, :2] /= extent
    plane[:, 2] -= plane[:, :2] @ centre
    return plane


def _fit(points: np.ndarray, start: np.ndarray, prior: float) -> tuple[np.ndarray, float]:
    """Gauss-Newton: the best parameters met and the square sum of their residuals."""
    best, least = start, math.inf
    parameters = start
    for _ in range(_ROUNDS):
        tried = np.vstack((parameters, parameters + _DIFFERENCE * np.eye(_PARAMETERS)))
        residuals = _residuals(points, tried, prior)
        misfit = float(residuals[0] @ residuals[0])
        if misfit < least:
            best, least = parameters, misfit
        slope = (residuals[1:] - residuals[0]) / _DIFFERENCE
        normal = slope @ slope.T + 1e-9 * np.eye(_PARAMETERS)
        step = -np.linalg.solve(normal, slope @ residuals[0])
        size = float(np.abs(step).max())
        if size < _CONVERGED:
            break
        parameters = parameters + step * min(1, _MAX_STEP / size)
        # Never as far as the horizon, nor to where the plane is seen edge-on.
        nearest = float((points @ parameters[:2]).min())
        parameters[:2] *= min(1, _MAX_DEPTH / max(-nearest, 1e-9))
        parameters[2:] *= min(1, _MAX_STRETCH / max(math.hypot(*parameters[2:]), 1e-9))
    return best, least


def _residuals(points: np.ndarray, parameters: np.ndarray, prior: float) -> np.ndarray:
    """What is wrong with a polygon on each of several planes.

    Args:
        points: (2 k, 2), the upper and then the lower side.
        parameters: (n, 4).
        prior: Weight of the parameters themselves.

    Returns:
        (n, 2 k + 3): k deviations of a rung's length from the mean, as logarithms, k - 1 cosines of
        the angle between line and rungs, and the weighted parameters.
    """
    count = len(points) // 2
    axis, diagonal = parameters[:, 2:3], parameters[:, 3:4]
    x, y = points.T
    depth = 1 + parameters[:, :2] @ points.T
    # As complex numbers: lengths and angles are then one operation each.
    on_plane = ((1 + axis) * x + diagonal * y + 1j * (diagonal * x + (1 - axis) * y)) / depth
    top, bottom = on_plane[:, :count], on_plane[:, count:]
    rungs, middle = bottom - top, top + bottom
    lengths = np.log(np.maximum(np.abs(rungs), _LEAST_RUNG))
    turned = (middle[:, 1:] - middle[:, :-1]) * (rungs[:, 1:] + rungs[:, :-1]).conj()
    cosines = turned.real / np.maximum(np.abs(turned), 1e-12)
    lengths -= lengths.mean(1, keepdims=True)
    return np.concatenate((lengths, cosines, prior * math.sqrt(count) * parameters), 1)
