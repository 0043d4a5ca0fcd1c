import pytest
from mmengine.config import Config

STOCK = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture
def swap(load_tool):
    """Run the tool in this process; returns its exit status."""
    tool = load_tool('swap_backbone')
    return lambda *arguments: tool.main([str(argument) for argument in arguments])


def test_config_is_written_and_told(swap, backbone_file, tmp_path, capsys):
    out, path = tmp_path / 'mine.py', backbone_file('resnet18')
    assert swap(STOCK, '--backbone', path, '--out', out) == 0
    init_cfg = Config.fromfile(out).model.backbone.init_cfg
    assert init_cfg.type == 'ODMPretrained'
    assert init_cfg.checkpoint == str(path)
    told = capsys.readouterr().out
    assert f'{out} written, which inherits {STOCK} and changes:' in told
    assert f'model.backbone.init_cfg: torchvision://resnet18 -> {path} (100 tensors)' in told


def test_other_stem_needs_a_word(swap, backbone_file, tmp_path, capsys):
    out, path = tmp_path / 'mine.py', backbone_file('resnet18')
    command = ['panet_resnet18_fpem-ffm_600e_icdar2015.py', '--backbone', path, '--out', out]
    assert swap(*command) == 2
    assert 'deep_stem=False' in capsys.readouterr().err
    assert swap(*command, '--adapt-architecture') == 0
    assert 'model.backbone.deep_stem: True -> False' in capsys.readouterr().out
    assert Config.fromfile(out).model.backbone.deep_stem is False


def test_mistakes_end_with_one_line_and_no_file(swap, backbone_file, tmp_path, capsys):
    folder = tmp_path / 'new'
    out, path = folder / 'mine.py', backbone_file('resnet18')
    faulty = tmp_path / 'faulty.py'
    faulty.write_text('model = dict(\n    backbone=undefined)')
    for arguments, message in (
        (['none.py', '--backbone', path, '--out', out], 'no config none.py'),
        ([faulty, '--backbone', path, '--out', out], f'{faulty} does not load: NameError: '),
        ([STOCK, '--backbone', 'none.pth', '--out', out], 'none.pth does not exist'),
        ([STOCK, '--backbone', backbone_file('resnet50'), '--out', out], 'another ResNet'),
        ([STOCK, '--backbone', path, '--out', folder / 'mine.yml'], 'a config ends in .py'),
        (['crnn_mini-vgg_5e_mj.py', '--backbone', path, '--out', out], 'another architecture'),
    ):
        assert swap(*arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith('error: ')
        assert message in line
    assert not folder.exists()


def test_existing_files_are_kept(swap, backbone_file, tmp_path, capsys):
    out, path = tmp_path / 'mine.py', backbone_file('resnet18')
    out.write_text('mine')
    assert swap(STOCK, '--backbone', path, '--out', out) == 2
    assert 'mine.py exists' in capsys.readouterr().err
    assert out.read_text() == 'mine'
    assert swap(STOCK, '--backbone', path, '--out', out, '--overwrite') == 0
    written = out.read_text()
    assert written.startswith('_base_')
    assert swap(out, '--backbone', path, '--out', out, '--overwrite') == 2
    assert 'inherit itself' in capsys.readouterr().err
    assert out.read_text() == written
