import numpy as np
import pytest
from shapely.geometry import Polygon

from odm_mmocr.synthesis.total_text import can_carry, format_line, orientation, thin_out
from odm_mmocr.synthesis.words import PUNCTUATION

HEIGHT = 30.0


def arc(turn: float, points: int = 12, radius: float = 120.0) -> np.ndarray:
    """A word over an arc: inner radius ``radius``, clockwise from its top left."""
    angle = np.linspace(-turn / 2, turn / 2, points)
    direction = np.stack((np.sin(angle), -np.cos(angle)), 1)
    return 300 + np.concatenate(((radius + HEIGHT) * direction, radius * direction[::-1]))


def bar(angle: float) -> np.ndarray:
    flat = np.array([(0, 0), (50, 0), (100, 0), (100, 30), (50, 30), (0, 30)], float)
    cos, sin = np.cos(angle), np.sin(angle)
    return flat @ np.array(((cos, sin), (-sin, cos)))


@pytest.mark.parametrize('turn', [0.5, 1.0, 2.0])
def test_a_thinned_polygon_is_nearly_the_same(turn):
    exact = arc(turn)
    thin = thin_out(exact)
    assert len(thin) < len(exact)
    np.testing.assert_allclose(thin[[0, -1]], exact[[0, -1]])
    one, other = Polygon(exact), Polygon(thin)
    assert one.intersection(other).area > 0.95 * one.union(other).area
    assert other.hausdorff_distance(one) < 0.08 * HEIGHT


def test_a_wave_is_thinned_too():
    x = np.linspace(0, 200, 12)
    top = np.stack((x, 8 * np.sin(x / 200 * 2 * np.pi)), 1)
    exact = np.concatenate((top, (top + (0, HEIGHT))[::-1]))
    thin = thin_out(exact)
    assert 8 <= len(thin) < len(exact)
    assert Polygon(thin).hausdorff_distance(Polygon(exact)) < 0.08 * HEIGHT


def test_the_stronger_the_bend_the_more_points():
    counts = [len(thin_out(arc(turn))) for turn in (0.05, 0.5, 1.0, 2.0)]
    assert counts[0] == 4
    assert counts == sorted(set(counts))
    assert len(thin_out(bar(0.3))) == 4


def test_orientations():
    assert orientation(arc(0.8)) == 'c'
    assert orientation(arc(0.8)[::-1]) == 'c'
    assert orientation(arc(0.05)) == 'h'
    assert orientation(bar(0.1)) == 'h'
    assert orientation(bar(-0.1)) == 'h'
    for angle in (0.3, -0.3, np.pi / 2, np.pi):
        assert orientation(bar(angle)) == 'm'


def test_a_line_is_written_as_officially():
    polygon = np.array(((79, 1), (95, 2), (95, 30), (79, 31)))
    assert format_line(polygon, 'c', 'TEXT') == (
        "x: [[79 95 95 79]], y: [[1 2 30 31]], ornt: [u'c'], transcriptions: [u'TEXT']"
    )
    assert format_line(polygon, 'h', "Joe's").endswith('transcriptions: [u"Joe\'s"]')
    assert format_line(polygon, '#', '#').endswith("ornt: [u'#'], transcriptions: [u'#']")
    assert format_line(polygon, 'h', 'Café').endswith(r"[u'Caf\xe9']")


def test_the_parser_of_mmocr_reads_every_text_that_can_be_carried(tmp_path):
    parsers = pytest.importorskip('mmocr.datasets.preparers.parsers')
    texts = ["Joe's", '\\', 'say"', '\'"', '12:30', 'www.a.com', '50%', '$1.20', '#1', '05/12', 'é']
    texts += [f'{word}{mark}' for mark in PUNCTUATION for word in ('word', '10', '')]
    texts = [text for text in texts if can_carry(text)]
    assert len(texts) > 50
    polygons = [np.arange(8).reshape(4, 2) * (i + 1) for i in range(len(texts))]
    path = tmp_path / 'poly_gt_img1.txt'
    lines = [format_line(polygon, 'h', text) for polygon, text in zip(polygons, texts)]
    path.write_text('\n'.join(lines) + '\n')
    parser = parsers.TotaltextTextDetAnnParser(split='train')
    _, instances = parser.parse_file('img1.jpg', str(path))
    assert [instance['text'] for instance in instances] == texts
    for instance, polygon in zip(instances, polygons):
        assert instance['poly'] == polygon.ravel().tolist()
        assert not instance['ignore']


@pytest.mark.parametrize('text', ['1,200', 'why?', 'no entry', '[a]', '{', 'a\n'])
def test_a_text_that_the_format_cannot_carry_is_refused(text):
    assert not can_carry(text)
    with pytest.raises(ValueError, match='cannot carry the text'):
        format_line(np.zeros((4, 2), int), 'h', text)
