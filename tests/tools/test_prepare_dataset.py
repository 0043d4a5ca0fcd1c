"""The command line of the preparation."""

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
    assert 'train: 1 images, 1 words, 1 readable' in capsys.readouterr().out


def test_folders_of_one_split(tool, root):
    out = root / 'out'
    folders = ['--train-images', str(root / 'train_images'), '--train-gt', str(root / 'train_gt')]
    assert tool.main(['icdar2015', *folders, '--out', str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ['textspotting_train.json']


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
    assert not (root / 'out').exists()
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
