from dataclasses import dataclass
from pathlib import Path

import pytest

from odm_mmocr.benchmark import Outcome, PretrainingRun, Variant

PLAN = """
pretrain = dict(config='odm_pretrain_quickstart.py', iterations=4)
variants = {'full': {}, 'less': {'model.loss_contrastive': None}, 'random': None}
finetune = dict(
    config='dbnet_resnet18_reduced_icdar2015.py', seeds=[0], lr_factors=[1.0], schedule=5
)
"""


@pytest.fixture(scope='module')
def tool(load_tool):
    """The tool as a module."""
    return load_tool('ablate')


@pytest.fixture
def ablate(tool, word_images, tmp_path, monkeypatch):
    """Function from the text of a plan and arguments to the tool's exit status, on ten images."""
    monkeypatch.chdir(tmp_path)

    def run(text, *arguments):
        Path('plan.py').write_text(text)
        options = [
            f'train_dataloader.dataset.dataset.data_root={word_images}',
            f'val_dataloader.dataset.data_root={word_images}',
        ]
        return tool.main(['plan.py', '--out', 'out', *arguments, '--finetune-options', *options])

    return run


@pytest.mark.parametrize(
    ('old', 'new', 'arguments', 'message'),
    [
        ('variants', 'varants', [], "did you mean 'variants'"),
        ('loss_contrastive', 'loss_contrastiv', [], "did you mean 'loss_contrastive'"),
        ('odm_pretrain_quickstart', 'nope', [], 'no config nope.py'),
        ('', '', ['--only', 'ful'], "did you mean 'full'"),
        ('', '', ['--pretrain-options', 'model.los_word=1'], "did you mean 'loss_word'"),
        ('schedule=5', 'schedule=5, fractions=[0.01]', ['--only', 'random'], 'is none'),
        ("{'full", '{3', [], 'does not load'),
    ],
)
def test_wrong_input_is_one_line(ablate, capsys, old, new, arguments, message):
    assert ablate(PLAN.replace(old, new, 1), *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].startswith('error: ')
    assert message in error.splitlines()[-1]
    assert 'Traceback' not in error
    assert not Path('out').exists()


def test_dry_run_says_what_there_is_to_do(ablate, capsys):
    assert ablate(PLAN, '--dry-run', '--only', 'less', 'random') == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        'less: 0 of 1 pre-trainings of 4 iterations are made: model.loss_contrastive = None',
        'random: random weights',
    ]
    assert not Path('out').exists()


@dataclass(frozen=True)
class Detector:
    name: str


@pytest.mark.parametrize(
    ('outcome', 'line'),
    [
        (
            Outcome(
                PretrainingRun(Variant('x'), 1),
                dict(curve={'odm/control': [[1, 0.1], [2, 0.25]], 'odm/iou': [[2, 0.3]]}),
                seconds=12.3,
            ),
            'pre-training 2 of 3: x_seed1: control 0.250, 12 s',
        ),
        (
            Outcome(Detector('d'), dict(curve={'icdar/hmean': [[2, 0.5]]})),
            'detector 2 of 3: d: hmean 0.500, made before',
        ),
        (Outcome(Detector('d'), None, 'no memory'), 'detector 2 of 3: d: failed: no memory'),
    ],
)
def test_outcome_is_a_line(tool, capsys, outcome, line):
    tool.show_outcome(outcome, 2, 3)
    assert capsys.readouterr().out.strip().endswith(f' {line}')
