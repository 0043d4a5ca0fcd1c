"""Charts of what the annotations of a data set hold."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from odm_mmocr.evaluation.dataset_statistics import DatasetStatistics, Distribution
from odm_mmocr.evaluation.text_heights import HEIGHT_BOUNDS
from odm_mmocr.rendering import Font, FontChain, load_fonts
from odm_mmocr.rendering.fonts import FontSpec, default_font_path

from .plain_text import printable, shorten

MAX_TICKS = 10
DPI = 100
CHART_MARGIN = 6  # pixels, around a chart that is cut out
PANEL = (5.0, 3.1)  # inches
COLUMNS = 3
MIN_LYING = 8  # so that few bars are not thick
NUM_CHARACTERS = 32
NUM_WORDS = 20
WORD_LENGTH = 16  # characters of a longer word that are written
# Told apart by people who see few colours, and in print.
COLOURS = {
    'all': '#a9bcd0',
    'readable': '#20639b',
    'in the vocabulary': '#20639b',
    'accepted': '#20639b',
    'ignored': '#b9b9b9',
    'rejected': '#e08a3c',
    'not in the vocabulary': '#c8443c',
}


@dataclass(frozen=True)
class BarChart:
    """Bars, as they are drawn and as a table.

    Attributes:
        title: What is counted.
        note: The figures that matter most, in one line.
        bars: What each bar stands for.
        series: By name the height of each bar.
        ticks: By their place what is written along the bars, which stand at 0, 1, 2 and so on;
            None: each bar has its name.
        lines: By their place along the bars, lines with a caption.
        beside: Whether two series stand side by side; else one stands on the other.
        lying: Whether bars lie.
    """

    title: str
    note: str
    bars: Sequence[str]
    series: Mapping[str, Sequence[int]]
    ticks: Mapping[float, str] | None = None
    lines: Mapping[float, str] | None = None
    beside: bool = False
    lying: bool = False


def dataset_charts(statistics: DatasetStatistics) -> list[BarChart]:
    """Make the charts that a data set has values for."""
    s = statistics
    charts = [
        _histogram(
            'words an image', {'all': s.words_an_image, 'readable': s.readable_an_image}, whole=True
        )
    ]
    if s.heights or s.ignored_heights:
        series = {'readable': s.heights, 'ignored': s.ignored_heights}
        charts.append(_histogram('height of the text in pixels', series, HEIGHT_BOUNDS))
    if s.ratios:
        charts.append(_histogram('length of a word over its height', {'readable': s.ratios}))
    if s.rotations:
        chart = _histogram('rotation in degrees', {'readable': s.rotations})
        edges = s.rotations.edges
        middles = {i: (low + high) / 2 for i, (low, high) in enumerate(itertools.pairwise(edges))}
        ticks = {place: f'{middle:g}' for place, middle in middles.items() if middle % 45 == 0}
        charts.append(replace(chart, ticks=ticks))
    if s.lengths:
        charts.append(_histogram('characters of a word', {'readable': s.lengths}, whole=True))
    if s.scores or s.rejected_scores:
        series = {'accepted': s.scores, 'rejected': s.rejected_scores}
        charts.append(_histogram('score', series))
    if s.ignored or s.rejected:
        charts.append(_reasons(s))
    if s.texts:
        charts += [_characters(s), _texts(s)]
    return charts


def draw_charts(charts: Sequence[BarChart], title: str = '', fonts: FontSpec = None) -> Figure:
    """Draw charts side by side.

    Args:
        charts: At least one.
        title: Written above them; it may have several lines.
        fonts: For words and characters; what they and DejaVu Sans lack is written as ``?``, of
            single characters the code.

    Returns:
        The figure.
    """
    chain = load_fonts([*load_fonts(fonts), default_font_path()])
    columns = min(COLUMNS, len(charts))
    rows = -(-len(charts) // columns)
    lines = title.count('\n') + 1 if title else 0
    size = (PANEL[0] * columns, PANEL[1] * rows + 0.25 * lines)
    figure = Figure(size, DPI, layout='constrained')
    if title:
        heading = figure.suptitle(_drawable(title, chain), x=0.01, ha='left', fontsize='medium')
        _write_plainly(heading, chain)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(charts) :]:
        panel.remove()
    for panel, chart in zip(panels, charts, strict=False):
        _draw_chart(panel, chart, chain)
    return figure


def render_charts(figure: Figure) -> tuple[np.ndarray, list[np.ndarray]]:
    """Turn charts into pictures.

    Args:
        figure: Of :func:`draw_charts`.

    Returns:
        All of it, uint8 (H, W, 3) BGR, and of the same kind each chart with what is written at it.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    pictures = []
    for panel in figure.axes:
        box = panel.get_tightbbox(canvas.get_renderer()).padded(CHART_MARGIN)
        left, right = max(int(box.x0), 0), int(box.x1)
        top, bottom = max(int(len(page) - box.y1), 0), int(len(page) - box.y0)
        pictures.append(page[top:bottom, left:right])
    return page, pictures


def _draw_chart(panel: Axes, chart: BarChart, chain: FontChain) -> None:
    places = range(len(chart.bars))
    panel.set_title(f'{chart.title}\n', fontsize='medium', loc='left', fontweight='bold')
    panel.text(0, 1.03, chart.note, fontsize='small', transform=panel.transAxes, parse_math=False)
    width = 0.46 if chart.beside else 0.92
    base = [0] * len(chart.bars)
    for index, (name, counts) in enumerate(chart.series.items()):
        style = dict(color=COLOURS[name], label=name, linewidth=0)
        if chart.lying:
            panel.barh(places, counts, 0.8, left=base, **style)
        elif chart.beside:
            panel.bar([place + (index - 0.5) * width for place in places], counts, width, **style)
        else:
            panel.bar(places, counts, width, bottom=base, **style)
            base = [low + count for low, count in zip(base, counts)]
    for place, caption in (chart.lines or {}).items():
        panel.axvline(place, color='0.35', linewidth=0.8, linestyle='--')
        panel.text(
            place, 0.98, f' {caption}', fontsize='x-small', va='top', color='0.25',
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
    ticks = dict(enumerate(chart.bars)) if chart.ticks is None else chart.ticks
    axis = panel.yaxis if chart.lying else panel.xaxis
    labels = [_drawable(label, chain) for label in ticks.values()]
    axis.set_ticks(list(ticks), labels)
    panel.tick_params(labelsize='small')
    crowded = not chart.lying and len(labels) > 30
    for text in axis.get_ticklabels():
        _write_plainly(text, chain)
        if crowded:
            text.set_fontsize(5 if text.get_text().startswith('U+') else 7)
        if text.get_text().startswith('U+'):
            text.set_rotation(90)
    if chart.lying:
        panel.set_ylim(max(len(chart.bars), MIN_LYING) - 0.5, -0.5)
    else:
        panel.set_ylim(0, 1.08 * panel.dataLim.y1)
    panel.spines[['top', 'right']].set_visible(False)
    (panel.xaxis if chart.lying else panel.yaxis).grid(alpha=0.3)
    panel.set_axisbelow(True)
    if len(chart.series) > 1:
        panel.legend(fontsize='x-small', frameon=False, loc='best')


def _drawable(text: str, chain: FontChain) -> str:
    """What one font of the chain can write of a text."""
    if len(text) == 1 and (printable(text) != text or not chain.covers(text)):
        return f'U+{ord(text):04X}'
    text = '\n'.join(map(printable, text.split('\n')))
    font = _font(text, chain)
    return ''.join(c if c == '\n' or font.shows(c) else '?' for c in text)


def _font(text: str, chain: FontChain) -> Font:
    return max(chain, key=lambda font: sum(font.shows(c) for c in text))


def _write_plainly(label: Text, chain: FontChain) -> None:
    """Sets the font of a text, and takes dollar signs for what they are."""
    label.set_parse_math(False)
    font = _font(label.get_text(), chain)
    size = label.get_fontsize()
    label.set_fontproperties(FontProperties(fname=font.path, size=size))


def _histogram(
    title: str,
    series: Mapping[str, Distribution | None],
    bounds: Sequence[float] = (),
    whole: bool = False,
) -> BarChart:
    """Bars of one or more distributions that have the same bins.

    Args:
        title: What is counted.
        series: By name; None has no values.
        bounds: Where to draw lines.
        whole: Whether the values are whole numbers, whose bins are named by these.
    """
    series = {name: told for name, told in series.items() if told}
    name = next((name for name in ('all', 'readable') if name in series), next(iter(series)))
    main = series[name]
    edges = main.edges
    bars = _bin_names(edges, whole)
    if whole and edges[1] - edges[0] == 1:
        ticks = dict(enumerate(f'{edge:g}' for edge in edges[:-1]))
    else:
        ticks = {i - 0.5: f'{edge:.3g}' for i, edge in enumerate(edges)}
    step = -(-len(ticks) // MAX_TICKS)
    ticks = dict(itertools.islice(ticks.items(), 0, None, step))
    lines = {edges.index(bound) - 0.5: f'{bound:g}' for bound in bounds}
    whose = f'{name}: ' if len(series) > 1 else ''
    note = (
        f'{whose}median {brief(main.median)}, mean {brief(main.mean)}, '
        f'90 % in {brief(main.low)} to {brief(main.high)}, '
        f'all in {brief(main.minimum)} to {brief(main.maximum)}'
    )
    counts = {name: told.counts for name, told in series.items()}
    return BarChart(title, note, bars, counts, ticks, lines, beside='all' in series)


def brief(number: float) -> str:
    """A number with the digits that matter to a reader: 0.075, 2.9, 229."""
    return f'{number:.2g}' if abs(number) < 10 else f'{number:,.0f}'


def _bin_names(edges: Sequence[float], whole: bool) -> list[str]:
    names = []
    for low, high in itertools.pairwise(edges):
        if whole:
            names.append(f'{low:g}' if high - low == 1 else f'{low:g}-{high - 1:g}')
        else:
            names.append(f'{low:.3g} to {high:.3g}')
    names[-1] = f'{edges[-2]:.3g} and more'
    if not whole:
        names[0] = f'below {edges[1]:.3g}'
    return names


def _reasons(s: DatasetStatistics) -> BarChart:
    ignored, rejected = s.ignored.most_common(), s.rejected.most_common(NUM_WORDS)
    reasons = [shorten(reason, WORD_LENGTH) for reason, _ in ignored + rejected]
    series = {
        'ignored': [count for _, count in ignored] + [0] * len(rejected),
        'rejected': [0] * len(ignored) + [count for _, count in rejected],
    }
    series = {name: counts for name, counts in series.items() if any(counts)}
    count = s.words - s.readable
    note = f'{count:,} of {s.words:,} words ({count / s.words:.1%}) are ignored'
    return BarChart('why words are ignored', note, reasons, series, lying=True)


def _characters(s: DatasetStatistics) -> BarChart:
    common = s.characters.most_common(NUM_CHARACTERS)
    known = [0 if c in s.unknown_characters else count for c, count in common]
    unknown = [count if c in s.unknown_characters else 0 for c, count in common]
    series = {'in the vocabulary': known, 'not in the vocabulary': unknown}
    series = {name: counts for name, counts in series.items() if any(counts)}
    lacking = len(s.unknown_characters)
    note = f'{len(s.characters):,} different ones, {lacking:,} of them not in the vocabulary'
    bars = ['␣' if c == ' ' else c for c, _ in common]
    return BarChart('most frequent characters', note, bars, series)


def _texts(s: DatasetStatistics) -> BarChart:
    common = s.texts.most_common(NUM_WORDS)
    once = sum(count == 1 for count in s.texts.values())
    note = f'{len(s.texts):,} different ones, {once:,} of them stand there once'
    words = [shorten(text, WORD_LENGTH) for text, _ in common]
    return BarChart(
        'most frequent words', note, words, {'readable': [n for _, n in common]}, lying=True
    )
