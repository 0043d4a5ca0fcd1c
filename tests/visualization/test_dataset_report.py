import json
import os
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.dataset_images import check_images
from odm_mmocr.evaluation.dataset_statistics import dataset_statistics
from odm_mmocr.visualization.dataset_report import DatasetReport, check_folder, write_report

HOSTILE = '<script>alert("1")</script>\'"&\ud800\u202e'


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.text = [], ''
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def having(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def make_report(tmp_path):
    """Function from texts to the report of an image with these words and of a missing one."""

    def make(*texts, name='a.png', check=True, **others):
        pixels = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
        cv2.imwrite(str(tmp_path / 'a.png'), pixels)
        corners = np.array([[10, 10], [90, 10], [90, 40], [10, 40]], float)
        words = [AnnotatedWord(corners, t, t == '###', t, 0.5) for t in texts]
        words += [AnnotatedWord(corners, 'out', True, '', 0.1, HOSTILE)]
        images = [
            AnnotatedImage(name, tmp_path / 'a.png', (100, 200), words),
            AnnotatedImage(HOSTILE, tmp_path / HOSTILE, (100, 200), []),
        ]
        checked = check_images(images, 10) if check else None
        return DatasetReport(HOSTILE, images, dataset_statistics(images), checked, **others)

    return make


def test_the_page_stands_alone_and_shows_hostile_texts_as_texts(make_report, tmp_path):
    report = make_report(
        HOSTILE,
        HOSTILE,
        '###',
        problems=[HOSTILE] * 30,
        pseudo_label={HOSTILE: {'inner': [HOSTILE, 1]}, 'empty': {}},
        name=HOSTILE,
    )
    written = write_report(report, tmp_path / 'out')
    assert sorted(path.name for path in written) == [
        'report.html', 'report.json', 'report.png', 'samples.png'
    ]  # fmt: skip
    page = Page((tmp_path / 'out' / 'report.html').read_text(encoding='utf-8'))
    assert not page.having('script') and not page.having('a') and not page.having('link')
    for attributes in page.having('img'):
        assert attributes['src'].startswith('data:image/') and attributes['alt']
        assert set(attributes) == {'src', 'alt'}
    (policy,) = [m for m in page.having('meta') if 'http-equiv' in m]
    assert policy['content'].startswith("default-src 'none'")
    assert '<script>alert("1")</script>\'"&\\ud800\\u202e' in page.text
    assert '\u202e' not in page.text
    assert '… and 10 more' in page.text
    assert page.text.count('Pseudo-labels') == 1
    # Pictures: a chart each, the sample, and the extreme words.
    assert len(page.having('img')) > 10
    assert all('scope' in attributes for attributes in page.having('th'))


def test_figures_can_be_read_back(make_report, tmp_path):
    report = make_report('one', 'one', '###', pseudo_label={'threshold': float('nan')})
    write_report(report, tmp_path)
    figures = json.loads((tmp_path / 'report.json').read_text(encoding='ascii'))
    assert figures['source'] == HOSTILE
    assert figures['annotations']['words'] == 4 and figures['annotations']['readable'] == 2
    assert figures['annotations']['rejected'] == {HOSTILE: 1}
    assert figures['annotations']['texts'] == {'one': 2}
    assert figures['files']['missing'] == dict(count=1, first=[HOSTILE])
    assert figures['pseudo_label'] == {'threshold': None}
    assert figures['findings'] == report.findings()
    assert cv2.imread(str(tmp_path / 'report.png')).shape[1] > 1000
    assert cv2.imread(str(tmp_path / 'samples.png')).std() > 10


def test_findings_name_what_is_wrong_and_nothing_else(make_report):
    findings = '\n'.join(make_report('one', 'one', 'é' * 30, problems=['x']).findings())
    for sentence in (
        '1 of 2 images have no words (50.0%).',
        '1 of 3 words have characters outside the vocabulary (33.3%).',
        '1 of 3 words are longer than 24 characters (33.3%).',
        '1 of 3 words stand twice at the same place (33.3%).',
        '1 of 2 image files are missing (50.0%).',
        'could not be read: 1.',
    ):
        assert sentence in findings
    report = make_report('fine')
    clean = DatasetReport('a', report.images[:1], dataset_statistics(report.images[:1]))
    assert clean.findings() == []


def test_without_a_look_at_the_files_there_are_no_samples(make_report, tmp_path):
    write_report(make_report('one'), tmp_path)
    assert (tmp_path / 'samples.png').exists()
    write_report(make_report('one', check=False), tmp_path)
    assert not (tmp_path / 'samples.png').exists()
    page = Page((tmp_path / 'report.html').read_text(encoding='utf-8'))
    assert 'The image files were not looked at.' in page.text
    assert 'Samples' not in page.text


def test_words_without_texts_make_a_report_too(make_report, tmp_path):
    write_report(make_report('###'), tmp_path)
    assert '0 readable' in Page((tmp_path / 'report.html').read_text(encoding='utf-8')).text


def test_a_failed_write_leaves_the_earlier_report(make_report, tmp_path, monkeypatch):
    report = make_report('one')
    write_report(report, tmp_path)
    before = (tmp_path / 'report.html').read_bytes()

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_report(make_report('two'), tmp_path)
    assert (tmp_path / 'report.html').read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if name.endswith('.part')]


def test_folders_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file cannot be written: File exists'):
        check_folder(tmp_path / 'file')
    with pytest.raises(OSError, match=r'file.deep cannot be written: Not a directory'):
        check_folder(tmp_path / 'file' / 'deep')
    assert list(check_folder(tmp_path / 'new' / 'deep').iterdir()) == []
