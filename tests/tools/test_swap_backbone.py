import pytest
from mmengine.config import Config

STOCK = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture
def swap(load_tool, as_command):
    """Run the tool in this process."""
    return as_command(load_tool('swap_backbone'))


def test_config_is_written_and_told(swap, backbone_file, tmp_path, capsys):
    out, path = tmp_path / 'mine.py', backbone_file('resnet18')
    swap(STOCK, '--backbone', path, '--out', out)
    init_cfg = Config.fromfile(out).model.backbone.init_cfg
    assert init_cfg.type == 'ODMPretrained'
    assert init_cfg.checkpoint == str(path)
    told = capsys.readouterr().out
    assert f'{out} written, which inherits {STOCK} and changes:' in told
    assert f'model.backbone.init_cfg: torchvision://resnet18 -> {path} (100 tensors)' in told


def test_mistakes_end_with_one_line_and_no_file(swap, backbone_file, tmp_path):
    out, path = tmp_path / 'mine.py', backbone_file('resnet18')
    for arguments, message in (
        (['none.py', '--backbone', path, '--out', out], 'no config none.py'),
        ([STOCK, '--backbone', 'none.pth', '--out', out], 'none.pth does not exist'),
        ([STOCK, '--backbone', backbone_file('resnet50'), '--out', out], '.*another ResNet'),
        ([STOCK, '--backbone', path, '--out', tmp_path / 'mine.yml'], '.*a config ends in .py'),
    ):
        with pytest.raises(SystemExit, match=f'^error: {message}'):
            swap(*arguments)
    assert not list(tmp_path.iterdir())
    out.write_text('mine')
    with pytest.raises(SystemExit, match=r'mine\.py exists'):
        swap(STOCK, '--backbone', path, '--out', out)
    assert out.read_text() == 'mine'
    swap(STOCK, '--backbone', path, '--out', out, '--overwrite')
    assert out.read_text().startswith('_base_')
