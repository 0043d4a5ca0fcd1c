"""The command line of the preparation."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmocr')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('prepare_dataset')


@pytest.fixture
def root(tmp_path):
    for split in ('train', 'test'):
        images, truth = tmp_path / f'{split}_images', tmp_path / f'{split}_gt'
        images.mkdir()
        truth.mkdir()
        Image.new('RGB', (40, 30)).save(images / 'img_1.jpg')
        (truth / 'gt_img_1.txt').write_text('1,2,9,2,9,7,1,7,word\n')
    return tmp_path


def test_a_root_is_enough(tool, root, capsys):
    assert tool.main(['icdar2015', '--root', str(root)]) == 0
    assert (root / 'textspotting_train.json').is_file()
    assert (root / 'textspotting_test.json').is_file()
    output = capsys.readouterr().out
    assert 'train: 1 images, 1 words, 1 readable' in output
    assert 'ODM_IMAGE_ROOTS' not in output


def test_images_behind_a_link(tool, root, tmp_path_factory, capsys):
    elsewhere = tmp_path_factory.mktemp('elsewhere') / 'images'
    (root / 'train_images').rename(elsewhere)
    (root / 'train_images').symlink_to(elsewhere)
    assert tool.main(['icdar2015', '--root', str(root)]) == 0
    assert f'ODM_IMAGE_ROOTS={elsewhere} in' in capsys.readouterr().out


def test_folders_of_one_split(tool, root, capsys):
    out = root / 'out'
    folders = ['--train-images', str(root / 'train_images'), '--train-gt', str(root / 'train_gt')]
    assert tool.main(['icdar2015', *folders, '--out', str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'textdet_train.json',
        'textspotting_train.json',
    ]
    assert f'ODM_IMAGE_ROOTS={root / "train_images"} in' in capsys.readouterr().out


def test_malformed_lines_are_shown_up_to_a_limit_and_fail(tool, root, capsys):
    truth = root / 'train_gt' / 'gt_img_1.txt'
    truth.write_text('1,2,3\n' * 30)
    arguments = ['icdar2015', '--root', str(root), '--out', str(root / 'out')]
    assert tool.main(arguments) == 1
    errors = capsys.readouterr().err
    assert f'{truth}:1: expected' in errors
    assert f'{truth}:{tool.SHOWN_PROBLEMS}: ' in errors
    assert f'{truth}:{tool.SHOWN_PROBLEMS + 1}: ' not in errors
    assert 'and 10 more' in errors
    assert '--skip-malformed' in errors
    assert list((root / 'out').iterdir()) == []
    assert tool.main([*arguments, '--skip-malformed']) == 0
    assert (root / 'out' / 'textspotting_train.json').is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give either --root'),
        (['--train-images', 'a'], 'belong together'),
        (['--test-images', 'a', '--test-gt', 'b'], '--out is needed'),
        (['--root', 'a', '--test-images', 'a', '--test-gt', 'b'], 'give either --root'),
    ],
)
def test_wrong_arguments_say_what_to_give(tool, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        tool.main(['icdar2015', *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named_without_a_traceback(tool, tmp_path, capsys):
    assert tool.main(['icdar2015', '--root', str(tmp_path / 'absent')]) == 1
    assert 'absent' in capsys.readouterr().err


def make_totaltext(root):
    (root / 'Images' / 'Train').mkdir(parents=True)
    (root / 'txt_format' / 'Train').mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / 'Images' / 'Train' / 'img1.jpg')
    (root / 'txt_format' / 'Train' / 'poly_gt_img1.txt').write_text(
        "x: [[1 9 9]], y: [[2 2 7]], ornt: [u'c'], transcriptions: [u'word']"
    )


def make_ctw1500(root):
    for name in ('test_images', 'gt_ctw1500'):
        (root / name).mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / 'test_images' / '1001.jpg')
    points = ','.join(f'{x},{y}' for y, xs in ((2, range(7)), (9, range(6, -1, -1))) for x in xs)
    (root / 'gt_ctw1500' / '0001001.txt').write_text(f'{points},####word')


def make_msra_td500(root):
    (root / 'train').mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / 'train' / 'IMG_1.JPG')
    (root / 'train' / 'IMG_1.gt').write_text('0 0 1 2 8 5 0.1')


def make_lsvt(root):
    (root / 'train_full_images_0').mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / 'train_full_images_0' / 'gt_0.jpg')
    word = dict(transcription='word', points=[[1, 2], [9, 2], [9, 7]], illegibility=False)
    (root / 'train_full_labels.json').write_text(json.dumps(dict(gt_0=[word])))


def make_synthtext(root):
    scipy_io = pytest.importorskip('scipy.io')
    (root / '8').mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / '8' / 'a.jpg')
    box = np.array([[1, 9, 9, 1], [2, 2, 7, 7]], float)
    content = dict(imnames='8/a.jpg', wordBB=box, charBB=box, txt='w')
    cells = {}
    for name, value in content.items():
        cells[name] = np.empty((1, 1), object)
        cells[name][0, 0] = value
    scipy_io.savemat(root / 'gt.mat', cells)


def make_folder(root):
    root.mkdir()
    Image.new('RGB', (40, 30)).save(root / 'a.png')
    (root / 'a.txt').write_text('1,2,9,2,9,7,1,7,word')


MAKE = dict(
    totaltext=make_totaltext,
    ctw1500=make_ctw1500,
    msra_td500=make_msra_td500,
    lsvt=make_lsvt,
    synthtext=make_synthtext,
    folder=make_folder,
)


@pytest.mark.parametrize('dataset', MAKE)
def test_every_data_set_has_a_command(tool, tmp_path, capsys, dataset):
    root = tmp_path / 'data'
    MAKE[dataset](root)
    arguments = [dataset, '--root', str(root)]
    assert tool.main(arguments) == 0
    told = capsys.readouterr()
    assert '1 images, 1 words, 1 readable' in told.out
    assert ('published are' in told.err) == (dataset != 'folder')
    assert len(list(root.glob('textdet_*.json'))) == 1
    assert len(list(root.glob('textspotting_*.json'))) == (dataset != 'msra_td500')
    assert tool.main([*arguments, '--strict']) == 0
    assert 'kept' in capsys.readouterr().out
    assert tool.main([*arguments, '--strict', '--overwrite']) == (dataset != 'folder')
    assert 'wrote' in capsys.readouterr().out


def test_what_is_left_out_of_synthtext_is_told(tool, tmp_path, capsys):
    root = tmp_path / 'data'
    make_synthtext(root)
    scipy_io = pytest.importorskip('scipy.io')
    cells = {k: v for k, v in scipy_io.loadmat(root / 'gt.mat').items() if k[0] != '_'}
    twice = {name: np.concatenate((value, value), 1) for name, value in cells.items()}
    twice['imnames'][0, 1] = np.array(['8/b.jpg'])
    scipy_io.savemat(root / 'gt.mat', twice)
    out = tmp_path / 'out'
    arguments = ['synthtext', '--root', str(root), '--out', str(out), '--without-characters']
    assert tool.main(arguments) == 0
    assert 'train: left out 1 images that are not there' in capsys.readouterr().out
    assert 'char_polygons' not in (out / 'textspotting_train.json').read_text()


def test_own_files_are_divided(tool, tmp_path):
    make_folder(tmp_path / 'data')
    Image.new('RGB', (40, 30)).save(tmp_path / 'data' / 'b.png')
    (tmp_path / 'data' / 'b.txt').write_text('1,2,9,2,9,7,1,7,word')
    folder, out = str(tmp_path / 'data'), tmp_path / 'out'
    arguments = ['folder', '--images', folder, '--annotations', folder, '--out', str(out)]
    assert tool.main([*arguments, '--test-fraction', '0.5', '--seed', '3']) == 0
    assert len(list(out.glob('text*_t*.json'))) == 4


def test_turned_images_are_told(tool, tmp_path, capsys):
    make_folder(tmp_path / 'data')
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new('RGB', (40, 30)).save(tmp_path / 'data' / 'a.png', exif=exif)
    assert tool.main(['folder', '--root', str(tmp_path / 'data')]) == 0
    warning, named = capsys.readouterr().err.splitlines()
    assert warning.startswith('warning: 1 images are shown turned')
    assert named == str(tmp_path / 'data' / 'a.png')


@pytest.mark.parametrize(
    ('content', 'message'),
    [('{}', 'no "data_list"'), ('{"data_list": [{"instances": []}]}', '"img_path"')],
)
def test_a_malformed_annotation_that_is_kept_is_named(tool, tmp_path, capsys, content, message):
    make_folder(tmp_path / 'data')
    for name in ('textdet', 'textspotting'):
        (tmp_path / 'data' / f'{name}_train.json').write_text(content)
    assert tool.main(['folder', '--root', str(tmp_path / 'data')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {tmp_path / "data" / "textdet_train.json"}') and message in line


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['synthtext'], '--root is needed'),
        (['lsvt', '--out', 'a'], '--root is needed'),
        (['folder'], 'give either --root'),
        (['folder', '--images', 'a'], 'belong together'),
        (['folder', '--images', 'a', '--annotations', 'b'], '--out is needed'),
        (['imagenet'], 'invalid choice'),
    ],
)
def test_wrong_arguments_of_others_say_what_to_give(tool, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('dataset', ['totaltext', 'ctw1500', 'msra_td500', 'lsvt', 'synthtext'])
def test_an_empty_root_is_an_error_of_one_line(tool, tmp_path, capsys, dataset):
    assert tool.main([dataset, '--root', str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert error.count('\n') == 1


def test_progress_tells_rate_and_time_left(tool, monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(tool.time, 'monotonic', lambda: now[0])
    progress = tool.make_progress()
    progress('train', 1000, 2000)  # where an earlier run was
    now[0] += 10
    progress('train', 1100, 2000)
    progress('train', 1101, 2000)
    told = capsys.readouterr().err
    assert told == 'train: 1,100 of 2,000 images, 10 a second, 90 s left\n'


def test_a_stop_by_hand_is_no_traceback(tool, tmp_path, monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'prepare', stop)
    assert tool.main(['lsvt', '--root', str(tmp_path)]) == 130
    assert 'goes on' in capsys.readouterr().err
