from pathlib import Path

import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.dataset_statistics import dataset_statistics
from odm_mmocr.visualization.dataset_charts import (
    brief,
    dataset_charts,
    draw_charts,
    render_charts,
)


def statistics(*texts, **others):
    corners = np.array([[10, 10], [50, 10], [50, 30], [10, 30]], float)
    words = [AnnotatedWord(corners, t, not t, '', **others) for t in texts]
    return dataset_statistics([AnnotatedImage('a.jpg', Path('a.jpg'), (100, 200), words)])


def by_title(charts):
    return {chart.title: chart for chart in charts}


def test_every_bar_has_a_name_and_every_word_is_in_one():
    charts = by_title(dataset_charts(statistics('one', 'two', 'two', '', score=0.7)))
    assert 'score' in charts and 'why words are ignored' in charts
    for chart in charts.values():
        assert all(len(counts) == len(chart.bars) for counts in chart.series.values())
    assert {n: sum(c) for n, c in charts['height of the text in pixels'].series.items()} == {
        'readable': 3, 'ignored': 1
    }  # fmt: skip
    lengths = charts['characters of a word']
    assert dict(zip(lengths.bars, lengths.series['readable'])) == {'1': 0, '2': 0, '3 and more': 3}
    assert charts['score'].bars[14] == '0.7 to 0.75' and charts['score'].series['accepted'][14] == 3
    assert charts['most frequent words'].bars == ['two', 'one']


def test_the_bounds_of_small_and_large_text_stand_at_their_bars():
    chart = by_title(dataset_charts(statistics('a')))['height of the text in pixels']
    (medium, large) = chart.lines
    assert chart.bars[int(medium + 0.5)].startswith('16 to')
    assert chart.bars[int(large + 0.5)].startswith('32 to')


def test_unknown_characters_are_told_apart():
    chart = by_title(dataset_charts(statistics('aé')))['most frequent characters']
    bars = zip(chart.bars, *chart.series.values())
    assert list(chart.series) == ['in the vocabulary', 'not in the vocabulary']
    assert sorted(bars) == [('a', 1, 0), ('é', 0, 1)]


def test_charts_are_left_out_where_there_is_nothing_to_count():
    titles = set(by_title(dataset_charts(statistics())))
    assert titles == {'words an image'}
    titles = set(by_title(dataset_charts(statistics('', ''))))
    assert titles == {'words an image', 'height of the text in pixels', 'why words are ignored'}


@pytest.mark.parametrize(
    'text', ['$x$', '$\\frac', '\ud800', '\u202e', '\x00', '\n', '汉', 'x' * 999]
)
def test_words_of_any_kind_are_drawn_as_they_are(text, tmp_path, recwarn):
    figure = draw_charts(dataset_charts(statistics(text, text)), f'{text}\nsecond line')
    figure.savefig(tmp_path / 'charts.png')
    assert not [str(w.message) for w in recwarn if 'lyph' in str(w.message)]
    words = figure.axes[-1].get_yticklabels()[0].get_text()
    assert words and words.isprintable()


def test_charts_are_cut_out_of_the_page_one_by_one():
    charts = dataset_charts(statistics('one', 'two'))
    page, pictures = render_charts(draw_charts(charts, 'title'))
    assert page.shape[1] == 1500 and len(pictures) == len(charts)
    for picture in pictures:
        assert 200 < picture.shape[0] < 360 and 300 < picture.shape[1] < 560
        # Nothing is cut through: the margin is white.
        for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
            assert edge.min() == 255


def test_fonts_write_what_dejavu_lacks(japanese):
    charts = dataset_charts(statistics('漢字', '漢'))
    plain, fitting = draw_charts(charts), draw_charts(charts, fonts=japanese)
    labels = [[t.get_text() for t in f.axes[-2].get_xticklabels()] for f in (plain, fitting)]
    assert labels == [['U+6F22', 'U+5B57'], ['漢', '字']]
    assert [t.get_text() for t in fitting.axes[-1].get_yticklabels()] == ['漢字', '漢']


def test_numbers_have_the_digits_that_matter():
    assert [brief(n) for n in (0, 0.0752, 2.917, 11.9, 12345)] == [
        '0', '0.075', '2.9', '12', '12,345'
    ]  # fmt: skip
