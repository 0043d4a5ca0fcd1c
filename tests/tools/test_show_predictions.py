from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'odm_pretrain_quickstart.py'


@pytest.fixture
def tool(load_tool):
    return load_tool('show_predictions')


def test_picture_of_the_untrained_model(tool, as_command, tmp_path, capsys):
    out = tmp_path / 'folder' / 'p.png'
    as_command(tool)(CONFIG, 'none', '--num', 2, '--out', out)
    assert '2 samples drawn to' in capsys.readouterr().out
    assert cv2.imread(str(out)).shape[1] > 4 * 128


def test_a_missing_checkpoint_is_one_line(tool, as_command, tmp_path):
    with pytest.raises(SystemExit, match=r'error: .*no\.pth'):
        as_command(tool)(CONFIG, tmp_path / 'no.pth')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none', 'none'], 'a title stands twice'),
        (['none', '--device', 'gpu'], "device='gpu' is no device"),
        (['none', '--num', 1, '--out', 'a.what'], 'is it a .png or .jpg'),
    ],
)
def test_wrong_arguments(tool, as_command, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as told:
        as_command(tool)(CONFIG, *arguments)
    assert message in str(told.value) + capsys.readouterr().err
