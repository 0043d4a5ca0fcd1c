"""The command line of the pipeline check."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.synthesis import SceneSynthesizer

STOCK = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('check_pipeline')


@pytest.fixture(scope='module')
def data_root(tmp_path_factory) -> Path:
    """Three scenes as tools/prepare_dataset.py writes them."""
    root = tmp_path_factory.mktemp('data')
    synthesizer = SceneSynthesizer(
        size=(400, 300), words_per_image=(3, 4), text_height=(20, 40), curved=0.0
    )
    data_list = []
    for i in range(3):
        scene = synthesizer(np.random.default_rng(i))
        cv2.imwrite(str(root / f'{i}.png'), scene.image)
        instances = [
            dict(
                polygon=polygon.ravel().tolist(),
                bbox=[*polygon.min(0).tolist(), *polygon.max(0).tolist()],
                bbox_label=0,
                ignore=False,
                text=text,
            )
            for polygon, text in zip(scene.polygons, scene.texts)
        ]
        data_list.append(dict(img_path=f'{i}.png', height=300, width=400, instances=instances))
    metainfo = dict(
        dataset_type='TextSpottingDataset',
        task_name='textspotting',
        category=[dict(id=0, name='text')],
    )
    content = dict(metainfo=metainfo, data_list=data_list)
    (root / 'textspotting_train.json').write_text(json.dumps(content))
    return root


def place(data_root: Path) -> list[str]:
    return ['--data-root', str(data_root), '--ann-file', 'textspotting_train.json']


def test_a_stock_config_is_found_wanting(tool, data_root, tmp_path, capsys):
    out = tmp_path / 'out'
    assert tool.main([STOCK, *place(data_root), '--out', str(out)]) == 1
    printed = capsys.readouterr().out
    assert 'ImgAugWrapper' in printed and 'direction' in printed
    assert 'the checker adds them' in printed
    pictures = sorted(path.name for path in out.iterdir())
    assert '05_Resize_direction.png' in pictures or '03_ImgAugWrapper_direction.png' in pictures
    assert all(f'wrote {out / name}' in printed for name in pictures)


def test_ours_is_found_sound(tool, data_root, tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = ['odm_pretrain_icdar2015.py', *place(data_root), '--num', '2', '--out', str(out)]
    assert tool.main(arguments) == 0
    printed = capsys.readouterr().out
    assert 'WarpScene' in printed
    assert 'no findings in 2 images' in printed
    assert not out.exists()


def test_the_validation_split_and_settings_of_the_config(tool, data_root, capsys):
    options = [
        f'val_dataloader.dataset.dataset.data_root={data_root}',
        'val_dataloader.dataset.dataset.ann_file=textspotting_train.json',
    ]
    arguments = ['odm_pretrain_icdar2015.py', '--split', 'val', '--cfg-options', *options]
    assert tool.main(arguments) == 0
    assert 'DropText' in capsys.readouterr().out


def test_what_cannot_be_checked_has_a_status_of_its_own(tool, data_root, tmp_path, capsys):
    assert tool.main(['no_such_config.py']) == 2
    assert 'no_such_config.py' in capsys.readouterr().err
    assert tool.main([STOCK, '--data-root', str(tmp_path)]) == 2
    assert '--ann-file' in capsys.readouterr().err
    annotations = data_root / 'textspotting_train.json'
    assert tool.main([STOCK, '--data-root', str(tmp_path), '--ann-file', str(annotations)]) == 2
    error = capsys.readouterr().err
    assert '0.png does not exist' in error and 'Traceback' not in error


@pytest.mark.parametrize('arguments', [[], ['a.py', '--num', '0'], ['a.py', '--seed', '-1']])
def test_wrong_arguments(tool, arguments):
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert caught.value.code == 2


def test_a_missing_reader_is_said(tool, data_root, monkeypatch, capsys):
    monkeypatch.setitem(__import__('sys').modules, 'odm_mmocr.evaluation.reading', None)
    tool.main(['odm_pretrain_icdar2015.py', *place(data_root), '--num', '1'])
    assert 'Labels are not read back' in capsys.readouterr().out


def test_progress_has_rate_and_time_left(tool, monkeypatch, capsys):
    now = iter([0.0, 1.0, 10.0])
    monkeypatch.setattr(tool.time, 'monotonic', lambda: next(now))
    progress = tool.make_progress()
    progress(1, 40)
    progress(20, 40)
    assert capsys.readouterr().err == '20 of 40 images, 2.0 a second, 10 s left\n'


@pytest.mark.parametrize(
    ('option', 'message'), [('wordz=1', "argument 'wordz'"), ('size=640', 'not iterable')]
)
def test_wrong_settings_are_one_line(tool, option, message, capsys):
    option = f'train_dataloader.dataset.dataset.{option}'
    assert tool.main(['odm_pretrain.py', '--num', '1', '--cfg-options', option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and 'odm_pretrain.py' in line and message in line
