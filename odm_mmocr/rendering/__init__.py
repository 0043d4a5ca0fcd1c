"""Destylized labels: text and polygon in, uniform glyphs out. Needs nothing of OpenMMLab."""

from .faults import (
    TooSmall,
    UncoveredText,
    Undrawable,
    UnusableCharacters,
    UnusablePolygon,
    UnusableText,
)
from .fonts import Font, FontChain, load_fonts
from .labels import fill_polygons, render_label, render_words
from .meshes import map_points, rectify, split_polygon, warp_strip
from .strips import Strip, normalize_text, render_strip

__all__ = [
    'Font',
    'FontChain',
    'Strip',
    'TooSmall',
    'UncoveredText',
    'Undrawable',
    'UnusableCharacters',
    'UnusablePolygon',
    'UnusableText',
    'fill_polygons',
    'load_fonts',
    'map_points',
    'normalize_text',
    'rectify',
    'render_label',
    'render_strip',
    'render_words',
    'split_polygon',
    'warp_strip',
]
