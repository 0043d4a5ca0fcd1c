"""Lines are cut into words where these stand."""

import itertools

import numpy as np
import pytest
from shapely.geometry import Polygon

from odm_mmocr.pseudo_label import ReadWord, cut_polygon, split_line
from odm_mmocr.rendering import UnusablePolygon, split_polygon

LEVEL = np.array([(10, 20), (110, 20), (110, 40), (10, 40)], np.float32)


def arc(points=9):
    """A band along a quarter of a circle, read clockwise."""
    angle = np.deg2rad(np.linspace(225, 315, points))
    circle = np.stack((np.cos(angle), np.sin(angle)), 1)
    return np.concatenate((100 * circle, 80 * circle[::-1])) + (150, 150)


@pytest.mark.parametrize(('start', 'stop'), [(0.0, 1.0), (0.25, 0.5), (0.0, 0.1), (0.9, 1.0)])
def test_a_piece_of_a_quad_lies_between_the_shares(start, stop):
    corners = np.array([(10, 20), (110, 0), (120, 50), (0, 44)], float)
    a, b, c, d = corners
    wanted = [a + start * (b - a), a + stop * (b - a), d + stop * (c - d), d + start * (c - d)]
    piece = cut_polygon(corners, start, stop)
    assert piece.dtype == np.float32
    np.testing.assert_allclose(piece, wanted, atol=1e-4)
    np.testing.assert_allclose(cut_polygon(corners.ravel(), start, stop), piece)


def test_a_piece_of_a_curve_keeps_the_vertices_between_the_cuts():
    polygon = arc(9)
    piece = cut_polygon(polygon, 0.3, 0.8)
    top, bottom = split_polygon(piece)
    # Chords of equal length, hence cuts between the vertices 2 and 3, and 6 and 7.
    outer, inner = split_polygon(polygon)
    for side, whole in ((top, outer), (bottom, inner)):
        first = whole[2] + 0.4 * (whole[3] - whole[2])
        last = whole[6] + 0.4 * (whole[7] - whole[6])
        np.testing.assert_allclose(side, [first, *whole[3:7], last], atol=1e-3)


def test_vertices_that_do_not_stand_opposite_each_other():
    """A vertex of one side alone gets its counterpart on the other."""
    polygon = np.array([(0, 0), (20, 0), (100, 0), (100, 10), (60, 10), (0, 10)], float)
    top, bottom = split_polygon(cut_polygon(polygon, 0.1, 0.9))
    np.testing.assert_allclose(top, [(10, 0), (20, 0), (60, 0), (90, 0)], atol=1e-4)
    np.testing.assert_allclose(bottom, [(10, 10), (20, 10), (60, 10), (90, 10)], atol=1e-4)


def test_pieces_make_up_the_whole():
    rng = np.random.default_rng(0)
    for polygon in (LEVEL, arc(5), arc(12)):
        cuts = np.concatenate(([0], np.sort(rng.uniform(0.02, 0.98, 4)), [1]))
        pieces = [Polygon(cut_polygon(polygon, a, b)) for a, b in itertools.pairwise(cuts)]
        whole = Polygon(polygon.reshape(-1, 2))
        assert sum(piece.area for piece in pieces) == pytest.approx(whole.area, rel=1e-3)
        for one, other in itertools.combinations(pieces, 2):
            assert one.intersection(other).area < 0.5


def test_repeated_points_do_not_matter():
    polygon = np.repeat(LEVEL.reshape(4, 2), 2, axis=0)
    piece = cut_polygon(polygon, 0.5, 1)
    assert np.isfinite(piece).all()
    assert Polygon(piece).area == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize('points', [3, 5])
def test_polygons_that_cannot_be_cut(points):
    with pytest.raises(UnusablePolygon):
        cut_polygon(np.zeros((points, 2)), 0.2, 0.6)


def spans(line):
    """Text, start and end along a level line of each of its words, 0 to 1."""
    width = line.polygon[:, 0].max() - line.polygon[:, 0].min()
    left = line.polygon[:, 0].min()
    return [
        (w.text, (w.polygon[0, 0] - left) / width, (w.polygon[1, 0] - left) / width)
        for w in split_line(line)
    ]


def test_without_places_all_characters_are_equally_wide():
    found = spans(ReadWord('ab  cde f', LEVEL, 0.7))
    assert [text for text, *_ in found] == ['ab', 'cde', 'f']
    np.testing.assert_allclose(
        [place for _, *place in found], np.array([(0, 2), (4, 7), (8, 9)]) / 9, atol=1e-6
    )


def test_words_reach_half_a_letter_beyond_their_places():
    centers = np.array([0.1, 0.2, 0.45, 0.7, 0.8])  # of 'ab cd'
    (_, a, b), (_, c, d) = spans(ReadWord('ab cd', LEVEL, 0.7, centers=centers))
    # Steps within words are .1; the line's own ends are those of its first and last word.
    np.testing.assert_allclose([a, b, c, d], [0, 0.25, 0.65, 1], atol=1e-6)


def test_words_that_stand_close_meet_in_the_middle():
    centers = np.array([0.2, 0.4, 0.45, 0.5, 0.7])
    (_, _, b), (_, c, _) = spans(ReadWord('ab cd', LEVEL, 0.7, centers=centers))
    assert b == pytest.approx(0.45, abs=1e-6) and c == pytest.approx(0.45, abs=1e-6)


def test_scores_are_those_of_the_letters_where_they_are_known():
    line = ReadWord('ab c', LEVEL, 0.5, 0.8, None, np.array([1.0, 0.5, 0.1, 0.25]))
    first, second = split_line(line)
    assert (first.score, second.score) == (0.75, 0.25)
    assert first.detection == second.detection == 0.8
    plain, _ = split_line(ReadWord('ab c', LEVEL, 0.5))
    assert plain.score == 0.5 and plain.detection is None


def test_a_word_alone_stays_as_it_is():
    word = ReadWord('word', LEVEL, 0.5)
    assert split_line(word) == [word]


@pytest.mark.parametrize('text', ['', ' ', '\t\u3000 '])
def test_blank_lines_have_no_words(text):
    assert split_line(ReadWord(text, LEVEL, 0.5)) == []


def test_blanks_at_the_ends_are_cut_off():
    ((text, start, stop),) = spans(ReadWord(' ab ', LEVEL, 0.5))
    assert text == 'ab' and start == pytest.approx(0.25) and stop == pytest.approx(0.75)


def test_words_of_any_line_stand_in_order_and_apart():
    """Also where an engine puts many characters at one place."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        text = ''.join(rng.choice(list('abc  '), rng.integers(2, 14)))
        centers = np.sort(rng.uniform(-0.3, 1.3, len(text))).clip(0, 1)
        if rng.random() < 0.3:
            centers = np.full(len(text), rng.choice([0.0, 0.5, 1.0]))
        found = spans(ReadWord(text, LEVEL, 0.5, centers=centers))
        assert [word for word, *_ in found] == text.split()
        assert all(0 <= start < stop <= 1 for _, start, stop in found)
        assert all(a[2] <= b[1] + 1e-6 for a, b in itertools.pairwise(found))
