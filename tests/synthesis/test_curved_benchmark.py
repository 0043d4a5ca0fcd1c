import hashlib
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from odm_mmocr.rendering.fonts import default_font_path
from odm_mmocr.synthesis import Scene
from odm_mmocr.synthesis.curved_benchmark import (
    CurvedBenchmark,
    annotate,
    make_curved_benchmark,
)
from odm_mmocr.synthesis.parts import PARTS, background_part, word_part

SIZE = (320, 256)


@pytest.fixture(scope='module')
def benchmark(tmp_path_factory):
    """A small benchmark: its settings, folder and counts."""
    settings = CurvedBenchmark(train=12, test=6, size=SIZE)
    folder = tmp_path_factory.mktemp('benchmark') / 'curved'
    return settings, folder, make_curved_benchmark(folder, settings)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file()
    }


def load(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text(encoding='utf-8'))


def test_the_layout_is_that_of_total_text(benchmark):
    _, folder, counts = benchmark
    for part, numbers in (('Train', range(1, 13)), ('Test', range(13, 19))):
        images = {path.name for path in (folder / 'Images' / part).iterdir()}
        truth = {path.name for path in (folder / 'Groundtruth' / 'Polygon' / part).iterdir()}
        assert images == {f'img{number}.jpg' for number in numbers}
        assert truth == {f'poly_gt_img{number}.txt' for number in numbers}
        assert counts[part.lower()].images == len(numbers)
    assert cv2.imread(str(folder / 'Images' / 'Test' / 'img13.jpg')).shape == (256, 320, 3)
    assert not list(folder.parent.glob('.*partial'))


def test_the_parser_of_mmocr_reads_what_the_annotations_say(benchmark):
    parsers = pytest.importorskip('mmocr.datasets.preparers.parsers')
    _, folder, counts = benchmark
    for part in PARTS:
        parser = parsers.TotaltextTextDetAnnParser(split=part)
        ignored = 0
        for sample in load(folder, f'textspotting_{part}.json')['data_list']:
            image = folder / sample['img_path']
            truth = folder / 'Groundtruth' / 'Polygon' / part.title() / f'poly_gt_{image.stem}.txt'
            _, parsed = parser.parse_file(str(image), str(truth))
            assert len(parsed) == len(sample['instances']) > 0
            for found, instance in zip(parsed, sample['instances']):
                assert found['poly'] == instance['polygon']
                assert found['text'] == instance['text']
                assert found['ignore'] == instance['ignore']
                ignored += found['ignore']
        assert ignored == counts[part].words['#']


def test_mmocr_loads_the_annotations_and_finds_the_images(benchmark):
    datasets = pytest.importorskip('mmocr.datasets')
    _, folder, _ = benchmark
    for name, number in (('textdet_train', 12), ('textspotting_test', 6)):
        dataset = datasets.OCRDataset(ann_file=f'{name}.json', data_root=str(folder), pipeline=[])
        assert len(dataset) == number
        assert dataset.metainfo['generated']['seed'] == 0
        assert 'make_curved_benchmark.py' in dataset.metainfo['generated']['command']
        info = dataset.get_data_info(0)
        assert Path(info['img_path']).is_file()
        has_text = ['text' in instance for instance in info['instances']]
        assert set(has_text) == {name.startswith('textspotting')}


def test_the_ink_of_a_scene_lies_in_the_polygons_that_are_written():
    settings = CurvedBenchmark(size=SIZE)
    synthesizer = settings.synthesizer('train', with_glyphs=True)
    outside, curved = [], 0
    for number in range(15):
        scene = settings.scene(synthesizer, number)
        for word, glyph in zip(annotate(scene), scene.glyphs):
            blank = np.zeros_like(scene.image)
            ink = Scene(blank, glyphs=[glyph]).glyph_mask().astype(float)
            inside = np.zeros(ink.shape, np.uint8)
            cv2.fillPoly(inside, [word.polygon.astype(np.int32)], 1)
            outside.append(ink[inside == 0].sum() / ink.sum())
            curved += word.orient == 'c'
    assert curved > 10
    assert np.mean(outside) < 0.02
    assert max(outside) < 0.15


def test_most_images_have_curved_words_beside_straight_ones():
    settings = CurvedBenchmark(size=(640, 640), texture_share=1.0)
    synthesizer = settings.synthesizer('test', degradation=0)
    words = [annotate(settings.scene(synthesizer, number)) for number in range(20)]
    kinds = [word.orient for image in words for word in image]
    assert 0.35 < kinds.count('c') / len(kinds) < 0.7
    assert {'h', 'm', '#'} < set(kinds)
    assert sum(any(word.orient == 'c' for word in image) for image in words) >= 15
    points = [len(word.polygon) for image in words for word in image if word.orient == 'c']
    assert 8 < np.mean(points) < 13


def test_words_that_are_too_low_do_not_count(benchmark):
    box = np.array(((10, 10), (60, 10), (60, 19), (10, 19)), np.float32)
    scene = Scene(np.zeros((100, 100, 3), np.uint8), ['low', 'high'], [box, box * (1, 1.3)])
    low, high = annotate(scene)
    assert (low.text, low.orient, low.ignore) == ('#', '#', True)
    assert (high.text, high.orient, high.ignore) == ('high', 'h', False)


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path, benchmark):
    settings = dict(train=2, test=1, size=(128, 128))
    for name, seed in (('one', 0), ('two', 0), ('three', 1)):
        make_curved_benchmark(tmp_path / name, CurvedBenchmark(**settings, seed=seed))
    one, two, three = (digests(tmp_path / name) for name in ('one', 'two', 'three'))
    assert one == two
    assert one.keys() == three.keys()
    same = [name for name in one if one[name] == three[name]]
    assert same == ['split.json']


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    small, large = (CurvedBenchmark(train=n, test=1, size=(128, 128)) for n in (1, 2))
    for name, settings in (('small', small), ('large', large)):
        make_curved_benchmark(tmp_path / name, settings)
    first = 'Images/Train/img1.jpg'
    assert (tmp_path / 'small' / first).read_bytes() == (tmp_path / 'large' / first).read_bytes()
    tests = [next((tmp_path / n / 'Images' / 'Test').iterdir()) for n in ('small', 'large')]
    assert tests[0].read_bytes() == tests[1].read_bytes()


def test_the_parts_are_disjoint_and_written_down(benchmark):
    settings, folder, _ = benchmark
    split = load(folder, 'split.json')
    for kind in ('fonts', 'words', 'backgrounds'):
        train, test = (set(split[part][kind]) for part in PARTS)
        assert train
        assert test or kind == 'backgrounds'
        assert not train & test
    families = [{name[:6] for name in split[part]['fonts']} for part in PARTS]
    assert not families[0] & families[1]
    for part in PARTS:
        assert {background_part(name) for name in split[part]['backgrounds']} <= {part}
        texts = [
            instance['text']
            for sample in load(folder, f'textspotting_{part}.json')['data_list']
            for instance in sample['instances']
            if not instance['ignore']
        ]
        assert {word_part(text) for text in texts} == {part}
        assert settings.synthesizer(part).fonts.mixture.fonts


def test_a_data_set_can_keep_off_the_test_part():
    datasets = pytest.importorskip('odm_mmocr.datasets')
    dataset = datasets.SynthesizedSceneText(size=SIZE, part='train', epoch_length=10)
    infos = [dataset.get_data_info(index) for index in range(10)]
    texts = {instance['text'] for info in infos for instance in info['instances']}
    assert {word_part(text) for text in texts} == {'train'}


def test_the_read_me_says_that_it_is_generated_and_how(benchmark):
    text = (benchmark[1] / 'README.md').read_text()
    assert 'This is not Total-Text' in text
    assert 'OUT --train 12 --test 6 --seed 0 --size 320x256' in text
    assert re.search(r'- test: 6 images, \d+ words', text)


def test_the_command_names_what_was_given_without_folders():
    settings = CurvedBenchmark(
        fonts=['/a/b/one.ttf', 'two'], words='c/w.txt', backgrounds='/d/photos', texture_share=0.5
    )
    assert settings.command().endswith(
        ' --fonts one.ttf two --words w.txt --backgrounds photos --texture-share 0.5'
    )


def test_nothing_is_left_of_a_benchmark_that_fails(tmp_path):
    def stop(images):
        yield images[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_curved_benchmark(tmp_path / 'out', CurvedBenchmark(size=(128, 128)), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    for out in (tmp_path, tmp_path / 'mine.txt'):
        with pytest.raises(FileExistsError, match='has something in it'):
            make_curved_benchmark(out, CurvedBenchmark())
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(train=0), 'train is 0, expected at least 1'),
        (dict(test=-1), 'test is -1'),
        (dict(seed=-1), 'seed is -1'),
        (dict(size=(32, 640)), 'size is'),
        (dict(fonts=[default_font_path()]), "none of the 1 fonts belongs to the part 'test'"),
    ],
)
def test_bad_settings_are_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make_curved_benchmark(tmp_path / 'out', CurvedBenchmark(**settings))


def test_bad_words_are_named(tmp_path):
    path = tmp_path / 'words.txt'
    path.write_text('plum\nopen\n1,200\n')
    refused = PARTS.index(word_part('1,200'))
    with pytest.raises(ValueError, match=r"cannot carry 1 of the words, such as '1,200'"):
        CurvedBenchmark(words=path).synthesizer(PARTS[refused])
    path.write_text('open\n')
    with pytest.raises(ValueError, match=r"none of the 1 words belongs to the part 'test'"):
        CurvedBenchmark(words=path).synthesizer('test')
