import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import configs
from odm_mmocr.checkpoints.configs import (
    external_name,
    find_config,
    load_config,
    read_config_text,
    require_registered,
)


def test_text_of_any_config_reads_back():
    cfg = Config.fromfile(
        find_config('mmocr::textdet/fcenet/fcenet_resnet50_fpn_1500e_icdar2015.py')
    )
    assert read_config_text(cfg.pretty_text) == cfg.to_dict()
    odd = Config(dict(a={'b.c': [(1, -2.5), None], '0': float('-inf')}, d=True, e=dict(f='x\n"y"')))
    assert read_config_text(odd.pretty_text) == odd.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        "model = __import__('os').system('touch ran')",
        'import os\nmodel = 1',
        'model = dict(**x)',
        'model = open("x")',
        'model = [x for x in ()]',
        'model = <function f>',
        'f()',
    ],
)
def test_text_is_never_executed(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='not what mmengine dumps'):
        read_config_text(text)
    assert not list(tmp_path.iterdir())


def test_configs_are_found(tmp_path, monkeypatch):
    name = 'dbnet_resnet18_odm_icdar2015'
    by_name = find_config(f'{name}.py')
    assert by_name.is_file()
    assert by_name == find_config(name)
    stock = find_config('dbnet_resnet18_fpnc_1200e_icdar2015.py')
    assert external_name(stock) == 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
    assert external_name(by_name) is None
    # A file at hand comes first.
    (tmp_path / f'{name}.py').touch()
    monkeypatch.chdir(tmp_path)
    assert find_config(f'{name}.py') == Path(f'{name}.py')


def test_missing_config_says_where_it_was_looked_for():
    with pytest.raises(FileNotFoundError, match=r'no config my_config\.py: neither a file'):
        find_config('my_config.py')
    with pytest.raises(FileNotFoundError, match=r'no config textdet/none\.py in mmocr \(.*configs'):
        find_config('mmocr::textdet/none.py')
    with pytest.raises(FileNotFoundError, match='nowhere is not installed'):
        find_config('nowhere::a.py')


@pytest.mark.parametrize(
    ('key', 'message'),
    [('train_dataloader.batch_size.x', 'int'), ('custom_hooks.99.type', 'Index 99')],
)
def test_options_that_do_not_fit(key, message):
    with pytest.raises(ValueError, match=f'odm_pretrain_quickstart.py does not take .*{message}'):
        load_config('odm_pretrain_quickstart.py', {key: 1})


def test_ambiguous_name_lists_all(tmp_path, monkeypatch):
    for folder in 'ab':
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'same.py').touch()
    monkeypatch.setattr(configs, 'config_folders', lambda package: [tmp_path])
    with pytest.raises(ValueError, match=r'several.*a/same\.py.*b/same\.py'):
        find_config('same.py')


@pytest.mark.parametrize('text', ['a = ' + '[' * 5000, 'a = ' + '-' * 99999 + '1', 'a\0'])
def test_nested_config_text_is_an_error_like_any_other(text):
    with pytest.raises(ValueError, match='not what mmengine dumps'):
        read_config_text(text)


@pytest.mark.parametrize(
    'name',
    ['ODM', 'Vocabulary', 'mmdet.ResNet', 'mmdet.models.backbones.resnet.ResNet', 'BN', 'Kaiming'],
)
def test_registered_classes_may_stand_in_a_file(name):
    MODELS.get('mmdet.ResNet')
    require_registered([dict(a=dict(type=name), b=1)], 'it')


@pytest.mark.parametrize(
    'name',
    ['os.system', 'mmengine.put_text', 'mmengine.fileio.put_text', 'antigravity', 'mmocr.os', ''],
)
def test_what_mmengine_would_call_or_import_may_not(name):
    with pytest.raises(ValueError, match=f"it has the type '{name}', which is no registered"):
        require_registered([dict(a=dict(type=name), b=1)], 'it')
    assert 'antigravity' not in sys.modules
