"""ICDAR 2015 from official files to a data set that MMOCR loads."""

import pytest
from PIL import Image

pytest.importorskip('mmocr')

from mmocr.datasets import OCRDataset

from odm_mmocr.datasets.preparers import PreparationError, find_icdar2015, prepare_icdar2015
from odm_mmocr.datasets.preparers.icdar2015 import PUBLISHED

WORD = '1,2,9,2,9,7,1,7,'


@pytest.fixture
def folders(tmp_path):
    """Folders of three images and their ground truth."""
    images, truth = tmp_path / 'train_images', tmp_path / 'train_gt'
    images.mkdir()
    truth.mkdir()
    for index in (1, 2, 10):
        Image.new('RGB', (40, 30)).save(images / f'img_{index}.jpg')
        text = f'\ufeff{WORD}word{index}\n{WORD}###\n'
        (truth / f'gt_img_{index}.txt').write_text(text, encoding='utf-8')
    return images, truth


def test_mmocr_loads_what_is_written(folders, tmp_path, load_pipeline):
    out = tmp_path / 'new' / 'annotations'
    report = prepare_icdar2015({'train': folders}, out)
    assert report.counts == {'train': {'images': 3, 'words': 6, 'readable': 3}}
    assert report.written == [out / 'textdet_train.json', out / 'textspotting_train.json']
    assert sorted(out.iterdir()) == report.written

    dataset = OCRDataset(
        ann_file='textspotting_train.json', data_root=str(out), pipeline=load_pipeline
    )
    assert dataset.metainfo['task_name'] == 'textspotting'
    assert [dataset[i]['gt_texts'][0] for i in range(3)] == ['word1', 'word2', 'word10']
    sample = dataset[0]
    assert sample['img'].shape == (sample['height'], sample['width'], 3) == (30, 40, 3)
    assert sample['gt_polygons'][0].tolist() == [1, 2, 9, 2, 9, 7, 1, 7]
    assert sample['gt_bboxes'][0].tolist() == [1, 2, 9, 7]
    assert sample['gt_ignored'].tolist() == [False, True]


def test_malformed_lines_stop_it_unless_skipped(folders, tmp_path):
    path = folders[1] / 'gt_img_2.txt'
    path.write_text(f'{WORD}good\n1,2,3,4,5\n{WORD}fine\n')
    report = prepare_icdar2015({'train': folders}, tmp_path / 'out')
    assert len(report.problems) == 1
    assert report.problems[0].startswith(f'{path}:2: expected x1,y1')
    assert report.written == []
    assert list((tmp_path / 'out').iterdir()) == []

    report = prepare_icdar2015({'train': folders}, tmp_path / 'out', skip_malformed=True)
    assert len(report.problems) == 1
    assert report.counts['train']['words'] == 6
    assert len(report.written) == 2


def test_files_without_their_other_half_and_broken_images_are_named(folders, tmp_path):
    images, truth = folders
    (truth / 'gt_img_1.txt').unlink()
    (truth / 'gt_img_77.txt').write_text(WORD)
    (images / 'img_10.jpg').write_bytes(b'no image')
    report = prepare_icdar2015({'train': folders}, tmp_path / 'out')
    named = ('img_1.jpg', 'gt_img_77.txt', 'img_10.jpg')
    assert len(report.problems) == 3
    for name, problem in zip(named, report.problems):
        assert problem.split(':')[0].endswith(name)
    report = prepare_icdar2015({'train': folders}, tmp_path / 'out', skip_malformed=True)
    assert report.counts['train']['images'] == 1


def test_wrong_folders_are_named(folders, tmp_path):
    images, truth = folders
    with pytest.raises(PreparationError, match=r'train_gt holds no images'):
        prepare_icdar2015({'train': (truth, images)}, tmp_path)
    with pytest.raises(PreparationError, match=r'no folder .*absent'):
        prepare_icdar2015({'train': (images, tmp_path / 'absent')}, tmp_path)


def test_splits_are_found_under_official_names(folders, tmp_path):
    assert find_icdar2015(tmp_path) == {'train': folders}
    official = tmp_path / 'official'
    names = ('ch4_test_images', 'Challenge4_Test_Task1_GT')
    for name in names:
        (official / name).mkdir(parents=True)
    assert find_icdar2015(official) == {'test': tuple(official / name for name in names)}
    (official / names[1]).rmdir()
    with pytest.raises(PreparationError, match=r'ch4_test_images is there.*Task1_GT'):
        find_icdar2015(official)
    with pytest.raises(PreparationError, match='none of the folders'):
        find_icdar2015(tmp_path / 'train_gt')


def test_the_real_training_set(shared_data, tmp_path):
    folder = shared_data / 'icdar2015'
    splits = {'train': (folder / 'train_images', folder / 'train_gt')}
    report = prepare_icdar2015(splits, tmp_path)
    assert report.problems == []
    assert report.counts['train'] == {'images': 1000, 'words': 11886, 'readable': 4468}
    assert report.compare(PUBLISHED) == []
