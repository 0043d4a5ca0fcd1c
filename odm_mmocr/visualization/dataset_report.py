"""A data set on one page: figures, charts and pictures, as HTML, PNG and JSON."""

import base64
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedImage
from odm_mmocr.evaluation.dataset_images import ImageCheck
from odm_mmocr.evaluation.dataset_statistics import DatasetStatistics
from odm_mmocr.output_files import written_whole
from odm_mmocr.rendering.fonts import FontSpec

from .dataset_charts import BarChart, brief, dataset_charts, draw_charts, render_charts
from .dataset_samples import Tile, draw_crops, draw_pairs, draw_samples, samples_page
from .plain_text import character_name, printable, shorten

NUM_LISTED = 20  # rows of a table, files of a list
NUM_PAIRS = 6
TEXT_LENGTH = 120  # characters of a longer text or name that are written
SETTING_LENGTH = 400
JPEG_QUALITY = 85

# No script, nothing from elsewhere: whatever the annotations hold, a browser shows it as text.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  max-width: 78rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0.5rem 0 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.6rem; border-bottom: 2px solid #20639b; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 0.4rem; }
p { margin: 0.4rem 0; }
.small { color: #555; font-size: 0.88rem; }
dl.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  gap: 0.7rem; margin: 1rem 0; }
dl.cards div { background: #eef3f8; border-radius: 6px; padding: 0.5rem 0.8rem; }
dl.cards dt { color: #444; font-size: 0.88rem; }
dl.cards dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.2;
  white-space: nowrap; }
dl.cards dd small { font-size: 0.85rem; font-weight: 400; color: #555; }
ul.findings li { margin: 0.25rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
.crops { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
.side { display: flex; flex-wrap: wrap; gap: 0 3rem; }
figure { margin: 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: 0.85rem; color: #444; }
table { border-collapse: collapse; margin: 0.6rem 0; }
caption { text-align: left; white-space: nowrap; font-weight: 600; padding: 0.2rem 0; }
th, td { border-bottom: 1px solid #d5d5d5; padding: 0.15rem 0.9rem 0.15rem 0; text-align: left;
  vertical-align: top; font-weight: 400; }
thead th { color: #555; font-size: 0.85rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
details { margin: 0.3rem 0; font-size: 0.88rem; }
summary { cursor: pointer; color: #20639b; }
"""


@dataclass
class DatasetReport:
    """What a report is made of.

    Attributes:
        source: The annotation, as it is named in the report.
        images: Its images.
        statistics: The figures of its words.
        check: What its image files are; None: they were not looked at.
        problems: What could not be read.
        pseudo_label: What a pseudo-label file says of how it was made.
    """

    source: str
    images: Sequence[AnnotatedImage]
    statistics: DatasetStatistics
    check: ImageCheck | None = None
    problems: Sequence[str] = ()
    pseudo_label: Mapping[str, Any] = field(default_factory=dict)

    def headline(self) -> str:
        """The most important figures in two lines."""
        s = self.statistics
        small = ', '.join(
            f'{_share(count, s.readable)} {name}' for name, count in s.height_classes.items()
        )
        rejected = f', {s.rejected.total():,} rejected by filters' if s.rejected else ''
        return (
            f'{s.images:,} images, {s.words:,} words, {s.readable:,} readable '
            f'({_share(s.readable, s.words)}){rejected}\n'
            f'text heights: {small}; {len(s.texts):,} distinct words of '
            f'{len(s.characters):,} distinct characters'
        )

    def findings(self) -> list[str]:
        """What a user should look at, each in a sentence; empty: nothing was found."""
        s = self.statistics
        counted = (
            (s.images_without_words, s.images, 'images have no words'),
            (
                s.images_without_readable - s.images_without_words,
                s.images,
                'images have words, but no readable one',
            ),
            (s.misplaced, s.words, 'words lie outside their image'),
            (s.undirected, s.readable, 'readable words have a polygon that tells no direction'),
            (s.words_with_unknown, s.readable, 'words have characters outside the vocabulary'),
            (s.cut_words, s.readable, f'words are longer than {s.longest_known} characters'),
            (len(s.doubled), s.readable, 'words stand twice at the same place'),
        )
        found = _sentences(counted)
        if self.check is not None:
            found += _image_findings(self.check)
        if self.problems:
            found.append(
                f'Entries of the annotation that could not be read: {len(self.problems):,}.'
            )
        return found

    def summary(self) -> dict[str, Any]:
        """All figures, as JSON takes them."""
        return dict(
            source=self.source,
            findings=self.findings(),
            annotations=self.statistics.summary(),
            files=None if self.check is None else self.check.summary(),
            problems=dict(count=len(self.problems), first=list(self.problems[:NUM_LISTED])),
            pseudo_label=dict(self.pseudo_label),
        )


def check_folder(folder: str | os.PathLike) -> Path:
    """Make the folder of a report, before there is anything to write.

    Raises:
        OSError: It cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f'{folder} cannot be written: {error.strerror or error}') from error
    return folder


def write_report(
    report: DatasetReport,
    folder: str | os.PathLike,
    num: int = 24,
    seed: int = 0,
    fonts: FontSpec = None,
) -> list[Path]:
    """Write ``report.html``, ``report.png``, ``samples.png`` and ``report.json``.

    Each file is whole or not there. The page holds its pictures and needs none of the others.

    Args:
        report: The figures. Without a check of the image files no image is opened, and there are
            no samples.
        folder: Is made where needed.
        num: Sample images, chosen evenly.
        seed: Of the choice.
        fonts: For texts in pictures; what they lack is written as ``?``.

    Returns:
        The files.

    Raises:
        OSError: A file cannot be written.
    """
    folder = Path(folder)
    samples: list[Tile] = []
    pairs: list[Tile] = []
    crops: dict[str, list[Tile | None]] = {}
    if report.check is not None:
        missing = {image.path for image in report.check.missing}
        present = [image for image in report.images if image.path not in missing]
        samples = draw_samples(present, num, seed, fonts)
        pairs = draw_pairs(report.check.near_duplicates[:NUM_PAIRS])
        crops = {kind: draw_crops(found) for kind, found in report.statistics.extremes.items()}
    charts = dataset_charts(report.statistics)
    title = f'{shorten(printable(report.source), TEXT_LENGTH)}\n{report.headline()}'
    page, pictures = render_charts(draw_charts(charts, title, fonts))
    contents = {
        'report.png': _encode('.png', page),
        'report.html': build_page(
            report, list(zip(charts, pictures, strict=True)), samples, crops, pairs
        ).encode('utf-8'),
        'report.json': json.dumps(
            _finite(report.summary()), indent=1, allow_nan=False, default=str
        ).encode('ascii'),
    }
    if samples:
        contents['samples.png'] = _encode('.png', samples_page(samples))
    for name, content in contents.items():
        with written_whole(folder / name) as file:
            file.write(content)
    if not samples:  # one of an earlier report would be taken for this one's
        (folder / 'samples.png').unlink(missing_ok=True)
    return [folder / name for name in contents]


def build_page(
    report: DatasetReport,
    charts: Sequence[tuple[BarChart, np.ndarray]],
    samples: Sequence[Tile] = (),
    crops: Mapping[str, Sequence[Tile | None]] | None = None,
    pairs: Sequence[Tile] = (),
) -> str:
    """The page: one HTML file without scripts or links, whose pictures are in it.

    Args:
        report: The figures.
        charts: With the picture of each, uint8 (h, w, 3) BGR.
        samples, pairs: Pictures.
        crops: By the kind of extreme, one for each; None stands for one that could not be loaded.

    Returns:
        HTML that UTF-8 can hold, whatever the texts are.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>Data set report: {escape(printable(Path(report.source).name))}</title>',
        f'<style>{_STYLE}</style>\n</head>\n<body>\n<main>',
        f'<h1>Data set report</h1>\n<p>{_text(report.source)}</p>',
        _cards(report),
        _findings(report),
        _section('Charts', [_chart_figures(charts)]),
        _section('Words and characters', _text_tables(report.statistics)),
        _section('Image files', _image_lists(report.check, pairs)),
        _section('Samples', _sample_figures(samples)),
        _section('Extreme words', _crop_figures(report.statistics, crops or {})),
        _section('Where words stand twice', _doubled_table(report.statistics)),
        _section('Pseudo-labels', _settings_table(report.pseudo_label)),
        _section('What could not be read', [_list(report.problems)] if report.problems else []),
        '</main>\n</body>\n</html>\n',
    ]
    return '\n'.join(part for part in parts if part)


def _cards(report: DatasetReport) -> str:
    s = report.statistics
    cards = [
        ('images', f'{s.images:,}', ''),
        ('words', f'{s.words:,}', f'{brief(s.words_an_image.mean)} an image'),
        ('readable', f'{s.readable:,}', _share(s.readable, s.words)),
        ('ignored', f'{s.words - s.readable:,}', _share(s.words - s.readable, s.words)),
    ]
    if s.rejected or report.pseudo_label:
        count = s.rejected.total()
        cards.append(('of these rejected by filters', f'{count:,}', _share(count, s.words)))
    cards += [
        (f'{name} text', f'{count:,}', _share(count, s.readable))
        for name, count in s.height_classes.items()
    ]
    cards += [
        ('distinct words', f'{len(s.texts):,}', ''),
        ('distinct characters', f'{len(s.characters):,}', ''),
    ]
    if s.scores:
        cards.append(('median score', brief(s.scores.median), ''))
    rows = [
        f'<div><dt>{name}</dt><dd>{value}{f" <small>{note}</small>" if note else ""}</dd></div>'
        for name, value, note in cards
    ]
    return f'<dl class="cards">{"".join(rows)}</dl>'


def _findings(report: DatasetReport) -> str:
    found = report.findings()
    if not found:
        return _section('What stands out', ['<p>Nothing that looks like a mistake.</p>'])
    items = ''.join(f'<li>{_text(sentence)}</li>' for sentence in found)
    return _section('What stands out', [f'<ul class="findings">{items}</ul>'])


def _sentences(counted: Sequence[tuple[int, int, str]]) -> list[str]:
    return [f'{n:,} of {whole:,} {what} ({_share(n, whole)}).' for n, whole, what in counted if n]


def _image_findings(check: ImageCheck) -> list[str]:
    counted = (
        (len(check.missing), check.files, 'image files are missing'),
        (len(check.damaged), check.opened, 'opened image files cannot be decoded'),
        (len(check.resized), check.opened, 'opened images are of another size than annotated'),
        (len(check.duplicates), check.opened, 'opened images are exact copies of others'),
        (len(check.near_duplicates), check.opened, 'opened images look like others'),
    )
    found = _sentences(counted)
    if check.repeated:
        found.append(f'Images that are annotated once more: {len(check.repeated):,}.')
    return found


def _chart_figures(charts: Sequence[tuple[BarChart, np.ndarray]]) -> str:
    figures = []
    for chart, picture in charts:
        told = f'Bar chart: {chart.title}; {chart.note}'
        names = list(chart.series)
        rows = [
            [_text(bar), *(f'{counts[i]:,}' for counts in chart.series.values())]
            for i, bar in enumerate(chart.bars)
        ]
        table = _table('', [chart.title, *names], rows)
        figures.append(
            f'<figure>{_image(_encode(".png", picture), "png", told)}'
            f'<details><summary>{_text(chart.title)}: numbers</summary>{table}</details></figure>'
        )
    return f'<div class="grid">{"".join(figures)}</div>'


def _text_tables(s: DatasetStatistics) -> list[str]:
    if not s.texts:
        return []
    unknown = s.unknown_characters
    tables = [
        _counts_table('Most frequent words', 'word', s.texts),
        _table(
            f'Characters outside the vocabulary: {len(unknown):,}',
            ['character', 'name', 'count'],
            [
                [_text(c), _text(character_name(c)), f'{n:,}']
                for c, n in unknown.most_common(NUM_LISTED)
            ],
        )
        if unknown
        else '<p>All characters are in the vocabulary.</p>',
    ]
    return [f'<div class="side">{"".join(f"<div>{table}</div>" for table in tables)}</div>']


def _image_lists(check: ImageCheck | None, pairs: Sequence[Tile]) -> list[str]:
    if check is None:
        return ['<p>The image files were not looked at.</p>']
    parts = [
        f'<p>{check.opened:,} of {check.files:,} files were opened; what is said here of damage, '
        'sizes and duplicates is about these. Missing files were looked for among all.</p>'
    ]
    lists = (
        ('Missing', [image.source for image in check.missing]),
        ('Damaged', check.damaged),
        ('Of another size than annotated', check.resized),
        ('Annotated more than once', check.repeated),
        ('Exact copies', [f'{d.image.source} is {d.first.source}' for d in check.duplicates]),
        (
            'Near-duplicates',
            [
                f'{d.image.source} looks like {d.first.source} ({d.distance} of 64 bits differ)'
                for d in check.near_duplicates
            ],
        ),
    )
    for title, files in lists:
        if files:
            parts.append(f'<h3>{title}: {len(files):,}</h3>{_list(files)}')
    if pairs:
        parts.append(f'<div class="grid">{"".join(map(_tile, pairs))}</div>')
    return parts


def _sample_figures(samples: Sequence[Tile]) -> list[str]:
    if not samples:
        return []
    legend = (
        '<p class="small">Green: readable, with text and score. Grey: ignored. Orange: rejected, '
        'with the name of the filter. The dot marks where the text begins. Where texts would cover '
        'each other, that of the higher word is written.</p>'
    )
    return [legend, f'<div class="grid">{"".join(map(_tile, samples))}</div>']


def _crop_figures(s: DatasetStatistics, crops: Mapping[str, Sequence[Tile | None]]) -> list[str]:
    parts = []
    for kind, tiles in crops.items():
        figures = []
        for found, tile in zip(s.extremes[kind], tiles, strict=True):
            picture = ''
            if tile is not None:
                picture = _image(_encode('.jpg', tile.picture), 'jpeg', tile.caption)
            caption = (
                f'<b>{brief(found.value)}</b> {_text(found.word.text)}<br>'
                f'{_text(found.image.source)}, {_text(found.word.place)}'
            )
            figures.append(f'<figure>{picture}<figcaption>{caption}</figcaption></figure>')
        parts.append(f'<h3>{kind.capitalize()}</h3>')
        parts.append(f'<div class="grid crops">{"".join(figures)}</div>')
    return parts


def _doubled_table(s: DatasetStatistics) -> list[str]:
    if not s.doubled:
        return []
    rows = [
        [_text(word.text), _text(image.source), _text(word.place)]
        for image, word in s.doubled[:NUM_LISTED]
    ]
    return [_table(f'Doubled words: {len(s.doubled):,}', ['word', 'image', 'place'], rows, 0)]


def _settings_table(pseudo_label: Mapping[str, Any]) -> list[str]:
    rows = [[_text(name), _text(value, SETTING_LENGTH)] for name, value in _flatten(pseudo_label)]
    return [_table('How they were made', ['setting', 'value'], rows, 0)] if rows else []


def _flatten(value: Any, name: str = '') -> Iterable[tuple[str, str]]:
    """Pairs of a dotted name and a value, of dictionaries in each other."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f'{name}.{key}' if name else str(key))
    elif name:
        yield name, value if isinstance(value, str) else json.dumps(value, default=str)


def _section(title: str, parts: Sequence[str]) -> str:
    return '\n'.join([f'<section>\n<h2>{title}</h2>', *parts, '</section>']) if parts else ''


def _counts_table(caption: str, what: str, counts: Counter[str]) -> str:
    rows = [[_text(name), f'{count:,}'] for name, count in counts.most_common(NUM_LISTED)]
    return _table(caption, [what, 'count'], rows)


def _table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int | None = None
) -> str:
    """A table of cells that are HTML already.

    Args:
        caption, columns: Plain texts.
        rows: The first cell of each is its heading.
        numbers: How many of the last columns are numbers; None: all whose first cell is one.
    """
    if numbers is None:
        first = rows[0][1:] if rows else []
        numbers = sum(cell.replace(',', '').isdigit() for cell in first)
    start = len(columns) - numbers
    kinds = [' class="number"' if i >= start else '' for i in range(len(columns))]
    head = ''.join(f'<th scope="col"{k}>{_text(c)}</th>' for k, c in zip(kinds, columns))
    body = ''.join(
        f'<tr><th scope="row">{row[0]}</th>'
        + ''.join(f'<td{k}>{cell}</td>' for k, cell in zip(kinds[1:], row[1:]))
        + '</tr>'
        for row in rows
    )
    title = f'<caption>{_text(caption)}</caption>' if caption else ''
    return f'<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _list(items: Sequence[str]) -> str:
    shown = ''.join(f'<li>{_text(item, SETTING_LENGTH)}</li>' for item in items[:NUM_LISTED])
    more = len(items) - NUM_LISTED
    return f'<ul>{shown}</ul>' + (f'<p>… and {more:,} more</p>' if more > 0 else '')


def _tile(tile: Tile) -> str:
    picture = _image(_encode('.jpg', tile.picture), 'jpeg', tile.caption)
    return f'<figure>{picture}<figcaption>{_text(tile.caption)}</figcaption></figure>'


def _image(content: bytes, kind: str, alt: str) -> str:
    data = base64.b64encode(content).decode('ascii')
    told = escape(printable(shorten(alt, TEXT_LENGTH)))
    return f'<img src="data:image/{kind};base64,{data}" alt="{told}">'


def _text(text: str, length: int = TEXT_LENGTH) -> str:
    """A text of any origin as HTML; its direction of writing ends with it."""
    return f'<bdi>{escape(printable(shorten(text, length)))}</bdi>'


def _share(count: int, whole: int) -> str:
    if not count:
        return '0%'
    return f'{count / whole:.1%}' if count / whole >= 0.001 else 'below 0.1%'


def _encode(suffix: str, picture: np.ndarray) -> bytes:
    return cv2.imencode(suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON has no way to write."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
