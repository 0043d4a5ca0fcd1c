import json

import pytest


@pytest.fixture
def run(load_tool, as_command):
    """Run the tool in this process."""
    module = load_tool('compare_ocr_features')
    run = as_command(module)
    run.module = module
    return run


@pytest.mark.slow
def test_table_and_figures_of_the_cost(run, tmp_path, capsys):
    pytest.importorskip('onnx2torch')
    pytest.importorskip('rapidocr_onnxruntime')
    out = tmp_path / 'new' / 'figures.json'
    run('--networks', 'ppocr-v4', 'ppocr-v4@0.5', '--size', 64, 96, '--repeats', 1,
        '--threads', 1, '--json', out)  # fmt: skip
    told = capsys.readouterr().out
    assert '64x96, batch 2, fp32' in told
    assert '| ppocr-v4 | 0.9 | 32, 48, 96, 192, 384 | 2, 4, 8, 16, 32 |' in told
    whole, half = json.loads(out.read_text())['cost']
    assert whole['summary'] == half['summary']
    assert whole['speed']['flops']['loss']['forward'] > half['speed']['flops']['loss']['forward']


def test_table_of_the_effect(run, monkeypatch, tmp_path, capsys):
    trained = []

    def pretrain(contender, config, work_dir, options, max_iters):
        trained.append((contender.name, config, work_dir.name, options, max_iters))
        return {'odm/fscore': len(trained) / 4, 'odm/leak': 0.125}

    monkeypatch.setattr(run.module, 'pretrain_with', pretrain)
    run('--no-cost', '--networks', 'craft', 'none', '--train', 'odm_pretrain_quickstart.py',
        '--max-iters', 60, '--work-dir', tmp_path)  # fmt: skip
    config = 'odm_pretrain_quickstart.py'
    assert trained == [(name, config, name, None, 60) for name in ('none', 'craft')]
    told = capsys.readouterr().out
    assert f'{config}, 60 iterations' in told
    assert '| network | fscore | leak |' in told
    assert '| craft | 0.500 | 0.125 |' in told


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--networks', 'vgg'], 'vgg: the networks are'),
        (['--no-cost', '--train', 'none.py'], r'no config none\.py'),
        (['--detector', 'none.py', 'none.pth'], r'no config none\.py'),
        (['--size', '50', '64', '--networks', 'ppocr-v4'], 'multiples of 32'),
    ],
)
def test_mistakes_are_one_line(run, arguments, message):
    if 'ppocr-v4' in arguments:
        pytest.importorskip('onnx2torch')
        pytest.importorskip('rapidocr_onnxruntime')
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        run(*arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['--repeats', '0'], '--repeats 0'), (['--networks'], '--networks: at least one')],
)
def test_wrong_arguments_are_named(run, arguments, message, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err
