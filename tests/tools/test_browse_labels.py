import cv2
import pytest

SCENES = 'train_dataloader.dataset.dataset'


@pytest.fixture
def browse(load_tool, as_command):
    """Run the tool in this process."""
    return as_command(load_tool('browse_labels'))


def test_many_samples_take_several_pages(browse, tmp_path, capsys):
    out = tmp_path / 'sheet.png'
    browse('odm_pretrain_quickstart.py', '--num', 13, '--out', out, '--height', 48)
    told = capsys.readouterr().out
    assert all(f'wrote {tmp_path / name}' in told for name in ('sheet_1.png', 'sheet_2.png'))
    assert '0 of which cannot be drawn' in told
    first, second = (cv2.imread(str(tmp_path / f'sheet_{i}.png')).shape for i in (1, 2))
    assert first[1] == second[1] > 5 * 64
    assert first[0] > 12 * 48
    assert 48 < second[0] < 3 * 48


def test_settings_and_split(browse, tmp_path):
    options = [f'val_dataloader.dataset.dataset.{k}' for k in ('epoch_length=2', 'size=(160,96)')]
    arguments = ['--split', 'val', '--height', 96, '--out', tmp_path, '--cfg-options', *options]
    browse('odm_pretrain_quickstart.py', *arguments)
    sheet = cv2.imread(str(tmp_path / 'labels_1.png'))
    assert sheet.shape[1] == 5 * 160 + 6 * 8
    assert 2 * 96 < sheet.shape[0] < 4 * 96


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.py'], r'no config none\.py'),
        (['dbnet_resnet18_fpnc_1200e_icdar2015.py'], r'textdet_train\.json'),
        (['odm_pretrain_quickstart.py', '--out', 'a.bad', '--num', '1'], r'a\.bad cannot be'),
        (['odm_pretrain.py', '--cfg-options', f'{SCENES}.wordz=1'], r"odm_pretrain\.py .*'wordz'"),
        (
            ['odm_pretrain.py', '--cfg-options', f'{SCENES}.size=640'],
            r'odm_pretrain\.py .*iterable',
        ),
        (['odm_pretrain_quickstart.py', '--fonts', 'DejaVuSerif.ttf'], 'fonts of its own'),
    ],
)
def test_mistakes_end_with_one_line(browse, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f'^error: .*{message}'):
        browse(*arguments)


def test_no_sample_is_refused(browse, capsys):
    with pytest.raises(SystemExit):
        browse('odm_pretrain_quickstart.py', '--num', 0)
    assert '--num 0: at least 1' in capsys.readouterr().err
