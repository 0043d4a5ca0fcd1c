from pathlib import Path

import pytest
import torch

CONFIG = 'dbnet_resnet18_reduced_icdar2015.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    """The tool as a module."""
    return load_tool('compare_init')


@pytest.fixture
def compare(tool, word_images, tmp_path, monkeypatch):
    """Function from arguments to the tool's exit status, on ten small images."""
    monkeypatch.chdir(tmp_path)
    torch.save({'x': torch.zeros(1)}, 'other.pth')
    Path('cut.pth').write_bytes(b'PK123')
    Path('file').touch()

    def run(config=CONFIG, *arguments, options=()):
        given = [config, *arguments]
        if '--start' not in given:
            given += ['--start', 'random']
        if '--out' not in given:
            given += ['--out', 'out']
        roots = [
            f'train_dataloader.dataset.dataset.data_root={word_images}',
            f'val_dataloader.dataset.data_root={word_images}',
        ]
        return tool.main([*given, '--cfg-options', *roots, *options])

    return run


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nope.py'], 'no config nope.py'),
        (['mmocr::textrecog/crnn/crnn_mini-vgg_5e_mj.py'], 'no annotation file'),
        ([CONFIG, '--start', 'odm'], "'odm' is no start"),
        ([CONFIG, '--start', 'odm=gone.pth'], 'gone.pth does not exist'),
        ([CONFIG, '--start', 'odm=other.pth'], 'missing'),
        ([CONFIG, '--start', 'odm=cut.pth'], 'cut.pth'),
        ([CONFIG, '--start', 'random', '--start', 'random'], 'may stand there once'),
        ([CONFIG, '--out', 'file'], 'file'),
        ([CONFIG, '--fractions', '0'], 'above 0'),
        ([CONFIG, '--fractions', '0.001', '1'], 'is none'),
        ([CONFIG, '--seeds=-1'], 'seed'),
        ([CONFIG, '--lr-factors', '0'], 'learning rate'),
        ([CONFIG, '--schedule', 'long'], 'no schedule'),
        ([CONFIG, '--schedule', '0'], 'at least one'),
        ([CONFIG, '--holdout', '1'], 'below 1'),
        ([CONFIG, '--holdout', '0'], 'holdout'),
        ([CONFIG, '--holdout', '0.01'], 'of 10 images is none'),
    ],
)
def test_wrong_input_is_one_line(compare, capsys, arguments, message):
    assert compare(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].startswith('error: ')
    assert message in error.splitlines()[-1]
    assert 'Traceback' not in error
    assert not Path('out', 'runs').exists()


def test_option_without_a_value(compare, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare(options=['train_pipeline'])
    assert stopped.value.code == 2
    assert 'KEY=VALUE' in capsys.readouterr().err


def test_recipes_are_all_pairs_of_rates_and_statistics(tool):
    args = tool.parse_args(
        ['c.py', '--start', 'random', '--out', 'o', '--lr-factors', '0.3', '1']
        + ['--batch-norm', 'learning', 'frozen', '--fractions', '0.1', '--schedule', 'full']
    )
    plan = tool.make_plan(args)
    assert [str(recipe) for recipe in plan.recipes] == [
        'lr0.3',
        'lr0.3-bn-frozen',
        'lr1',
        'lr1-bn-frozen',
    ]
    assert (plan.schedule, plan.fractions, plan.starts[0].file) == ('full', [0.1], None)
