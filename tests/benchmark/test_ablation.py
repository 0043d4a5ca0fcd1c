import csv
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from odm_mmocr.benchmark import Ablation, AblationPlan, Start, Variant, ablation, comparison
from odm_mmocr.benchmark.execution import Executor, locked
from odm_mmocr.benchmark.starts import prepare_start
from odm_mmocr.checkpoints import load_config
from odm_mmocr.checkpoints.architecture import build_backbone, describe_architecture

# What a pre-training leaves, and what a detector does, without training anything; the hmean of a
# detector is .2, .5 from the full pre-training and .4 from the other.
PRETRAIN = """
import json, pathlib, shutil, sys
folder, backbone, broken = pathlib.Path(sys.argv[-1]), sys.argv[1], sys.argv[2]
with open(folder.parents[1] / 'order', 'a') as file:
    file.write(folder.name + '\\n')
if folder.name == broken:
    sys.exit('no memory')
shutil.copy(backbone, folder / 'backbone.pth')
curve = {'odm/control': [[2, 0.1], [4, 0.3]], 'odm/kept': [[4, 0.6]]}
result = dict(curve=curve, iterations=4, seconds=7.5, backbone=backbone[-16:-4])
(folder / 'result.json').write_text(json.dumps(result))
"""
DETECT = """
import json, pathlib, sys
folder, broken = pathlib.Path(sys.argv[-1]), sys.argv[1]
with open(folder.parents[2] / 'order', 'a') as file:
    file.write(folder.name + '\\n')
if broken and broken in folder.name:
    sys.exit('no luck')
hmean = 0.5 if 'full' in folder.name else 0.2 if 'random' in folder.name else 0.4
curve = {f'icdar/{name}': [[2, hmean]] for name in ('hmean', 'precision', 'recall')}
result = dict(curve=curve, holdout={}, images=5, batch_size=2)
(folder / 'result.json').write_text(json.dumps(result))
"""


@pytest.fixture(scope='module')
def narrow(options) -> dict:
    """Settings of a detector whose backbone is so narrow that its file is read in no time."""
    return {**options, 'model.backbone.base_channels': 8}


@pytest.fixture(scope='module')
def detector_config(detector, narrow) -> Config:
    """The config of that detector."""
    return load_config(detector, narrow)


@pytest.fixture
def plan(ablation_plan, narrow) -> AblationPlan:
    """The plan with that detector."""
    return replace(ablation_plan, finetune=replace(ablation_plan.finetune, options=narrow))


@pytest.fixture(scope='module')
def weights(detector_config, tmp_path_factory) -> Path:
    """Bare weights for its backbone."""
    backbone = build_backbone(describe_architecture(detector_config.model.backbone))
    path = tmp_path_factory.mktemp('weights') / 'bare.pth'
    torch.save(backbone.state_dict(), path)
    return path


@pytest.fixture(scope='module')
def exported(detector_config, weights, tmp_path_factory) -> str:
    """Path of the same as an exported backbone; behind the hyphen is its fingerprint."""
    folder = tmp_path_factory.mktemp('exported')
    return prepare_start(Start('file', str(weights)), detector_config, folder)[0].file


@pytest.fixture
def fake(monkeypatch, exported):
    """Function that puts these in place of the trainings; it takes the names of broken runs."""

    def configure(protocol, run, backbone, *_):
        if backbone and not Path(backbone).is_file():
            raise FileNotFoundError(f'{backbone} does not exist')
        return Config()

    monkeypatch.setattr(comparison, 'build_run_config', configure)
    monkeypatch.setattr(ablation, 'check_pretraining', lambda *_: None)

    def fake(pretraining='', detector=''):
        pretrain = (sys.executable, '-c', PRETRAIN, exported, pretraining)
        monkeypatch.setattr(ablation, 'PRETRAIN', pretrain)
        detect = partial(Executor, command=(sys.executable, '-c', DETECT, detector))
        monkeypatch.setattr(comparison, 'Executor', detect)

    fake()
    return fake


def run(plan, folder, only=(), jobs=1):
    return Ablation(plan, folder, only).run(jobs, lambda *_: None)


def order(folder) -> list[str]:
    """Names of the runs in the order in which they were made."""
    return (folder / 'order').read_text().split()


def table(folder) -> dict[str, dict]:
    """The lines of the table by variant; for each there is one share of the labels."""
    with open(folder / 'table.csv', newline='') as file:
        return {row['variant']: row for row in csv.DictReader(file)}


def test_pretrainings_of_the_first_seed_and_their_detectors_come_first(fake, plan, tmp_path):
    assert run(replace(plan, seeds=(0, 1)), tmp_path) == []
    made = order(tmp_path)
    assert made[:2] == ['full_seed0', 'without-L-bc_seed0']
    # Of these, all searches before the second seed of any.
    assert made[2:5] == [
        f'{start}_50pc_lr1_seed0' for start in ('full-seed0', 'without-L-bc-seed0', 'random')
    ]
    assert {name[-5:] for name in made[5:8]} == {'seed1'}
    assert made[8:10] == ['full_seed1', 'without-L-bc_seed1']
    assert len(made) == len(set(made)) == 14
    rows = table(tmp_path)
    assert rows['full']['hmean'] == '0.5000'
    assert (rows['full']['runs'], rows['random']['runs']) == ('4', '2')
    assert rows['without L_bc']['gain'] == '-0.1000'
    assert rows['without L_bc']['over_random'] == '0.2000'
    assert (rows['full']['control'], rows['full']['kept']) == ('0.3000', '0.6000')
    assert (rows['full']['iterations'], rows['full']['seconds']) == ('4', '7.5000')
    assert 'without L_bc: model.loss_contrastive = None' in (tmp_path / 'table.md').read_text()
    assert (tmp_path / 'hmean.png').stat().st_size > 1000


def test_more_of_a_plan_makes_only_what_is_new(fake, plan, tmp_path):
    few = replace(
        plan,
        variants=plan.variants[:1],
        finetune=replace(plan.finetune, seeds=(0,)),
    )
    run(few, tmp_path)
    assert order(tmp_path) == ['full_seed0', 'full-seed0_50pc_lr1_seed0']
    # Weights are not needed for what is made; for more detectors the copy of the backbone is.
    (tmp_path / 'pretrain' / 'full_seed0' / 'backbone.pth').unlink()
    more = replace(few, variants=[*few.variants, Variant('other', {'model.loss_word': None})])
    run(more, tmp_path)
    assert order(tmp_path)[2:] == ['other_seed0', 'other-seed0_50pc_lr1_seed0']
    shutil.rmtree(tmp_path / 'detectors' / 'starts')
    assert run(more, tmp_path) == []
    assert len(order(tmp_path)) == 4
    failures = run(replace(more, finetune=plan.finetune), tmp_path, only=['full'])
    assert len(failures) == 1
    assert 'full-seed0_50pc_lr1_seed1' in failures[0]
    assert 'does not exist' in failures[0]


def test_failed_runs_are_told_and_tried_again(fake, plan, tmp_path):
    fake(pretraining='without-L-bc_seed0', detector='random_50pc_lr1_seed1')
    failures = run(plan, tmp_path)
    assert [f.partition(':')[0] for f in failures] == [
        'pre-training without-L-bc_seed0',
        'detector random_50pc_lr1_seed1',
    ]
    rows = table(tmp_path)
    assert 'exit status 1: no memory' in rows['without L_bc']['failed']
    assert 'no luck' in rows['random']['failed']
    assert rows['full']['failed'] == ''
    assert (rows['without L_bc']['hmean'], rows['without L_bc']['runs']) == ('', '0')
    assert (rows['random']['hmean'], rows['random']['runs']) == ('0.2000', '1')
    assert not [name for name in order(tmp_path) if name.startswith('without-L-bc-seed0')]
    # Told by a program that has not made it, too.
    run(plan, tmp_path, only=['full'])
    assert 'no memory' in table(tmp_path)['without L_bc']['failed']
    # Of runs that the plan has no more nothing is told.
    fewer = replace(plan, finetune=replace(plan.finetune, seeds=plan.finetune.seeds[:1]))
    assert run(fewer, tmp_path, only=['random']) == []
    fake()
    assert run(plan, tmp_path) == []
    rows = table(tmp_path)
    assert {row['failed'] for row in rows.values()} == {''}
    assert rows['without L_bc']['gain'] == '-0.1000'


def test_backbone_that_no_detector_can_start_from_is_not_fatal(fake, plan, tmp_path):
    (tmp_path / 'pretrain' / 'full_seed0').mkdir(parents=True)
    (tmp_path / 'pretrain' / 'full_seed0' / 'backbone.pth').write_bytes(b'PK')
    result = dict(curve={}, iterations=4, seconds=1.0, backbone='0' * 12)
    (tmp_path / 'pretrain' / 'full_seed0' / 'result.json').write_text(json.dumps(result))
    (failure,) = run(plan, tmp_path)
    assert failure.startswith('detectors from full-seed0: ')
    assert 'backbone.pth' in failure
    assert table(tmp_path)['without L_bc']['hmean'] == '0.4000'


def test_changed_variant_is_refused_before_anything_is_made(fake, plan, tmp_path):
    run(plan, tmp_path)
    full, _, random = plan.variants
    changed = [full, Variant('without L_bc', {'model.loss_word': None}), random]
    with pytest.raises(ValueError, match=r'without-L-bc_seed0 is a pre-training made with model\.'):
        Ablation(replace(plan, variants=changed), tmp_path)
    # Work on another variant may go on.
    Ablation(replace(plan, variants=changed), tmp_path, ['full'])
    with pytest.raises(ValueError, match='recalibrate 1, not 0'):
        Ablation(
            replace(plan, pretrain=replace(plan.pretrain, recalibrate=0)),
            tmp_path,
        )
    shorter = replace(plan, finetune=replace(plan.finetune, schedule=3))
    with pytest.raises(ValueError, match='another protocol.*iterations 2, not 3'):
        Ablation(shorter, tmp_path)


def test_checking_leaves_nothing_behind(fake, plan, tmp_path):
    lines = Ablation(plan, tmp_path / 'out').describe()
    assert lines == [
        'full: 0 of 1 pre-trainings of 4 iterations are made',
        'without L_bc: 0 of 1 pre-trainings of 4 iterations are made: '
        'model.loss_contrastive = None',
        'random: random weights',
    ]
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('variant', 'message'),
    [
        (Variant('x', {'model.los_word': None}), "variant 'x': option model.los_word: .*loss_word"),
        (Variant('x', config='gone.py'), 'no config gone.py'),
        (Variant('x', backbone='gone.pth'), 'gone.pth does not exist'),
    ],
)
def test_wrong_variant_is_told_before_anything_is_made(fake, plan, tmp_path, variant, message):
    variants = [*plan.variants, variant]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Ablation(replace(plan, variants=variants), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_ablation_of_the_drawing_alone(fake, plan, tmp_path):
    variants = plan.variants[:2]
    run(replace(plan, variants=variants, finetune=None), tmp_path)
    assert order(tmp_path) == ['full_seed0', 'without-L-bc_seed0']
    assert table(tmp_path)['full']['control'] == '0.3000'
    assert not (tmp_path / 'hmean.png').exists()


def test_backbone_file_needs_no_pretraining(fake, plan, tmp_path, weights):
    variants = [Variant('ImageNet', backbone=str(weights)), plan.variants[2]]
    run(replace(plan, variants=variants), tmp_path)
    assert order(tmp_path)[0] == 'ImageNet_50pc_lr1_seed0'
    assert table(tmp_path)['ImageNet']['gain'] == ''
    assert table(tmp_path)['random']['gain'] == '-0.2000'


def test_pretraining_that_another_program_makes_is_waited_for(fake, plan, tmp_path):
    """The other program is killed; what it has started goes on and keeps its lock."""
    single = replace(plan, variants=plan.variants[:1], finetune=None)
    folder = tmp_path / 'pretrain' / 'full_seed0'
    folder.mkdir(parents=True)
    result = dict(curve={}, iterations=4, seconds=1.0, backbone='x')
    script = f'import time; time.sleep(2); open("result.json", "w").write({json.dumps(result)!r})'
    with locked(folder / '.lock') as lock:
        other = subprocess.Popen(
            [sys.executable, '-c', script], cwd=folder, pass_fds=[lock.fileno()]
        )
    started = time.monotonic()
    assert run(single, tmp_path) == []
    assert time.monotonic() - started > 1
    assert other.wait() == 0
    assert not (tmp_path / 'order').exists()


@pytest.mark.slow
def test_runs_for_real_and_goes_on_after_a_kill(ablation_plan, tmp_path, word_images, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    plan = replace(
        ablation_plan,
        variants=ablation_plan.variants[1:2],
        finetune=replace(ablation_plan.finetune, seeds=(0,)),
    )
    assert run(plan, tmp_path / 'whole') == []
    folder = tmp_path / 'whole' / 'pretrain' / 'without-L-bc_seed0'
    result = json.loads((folder / 'result.json').read_text())
    assert [step for step, _ in result['curve']['odm/control']] == [2, 4]
    assert (result['iterations'], result['seconds'] > 0) == (4, True)
    assert not list(folder.glob('iter_*.pth'))
    log = tmp_path / 'whole/detectors/runs/without-L-bc-seed0_50pc_lr1_seed0/log.txt'
    assert '100 of 100 tensors loaded' in log.read_text()

    other = tmp_path / 'killed' / 'pretrain' / 'without-L-bc_seed0'
    other.mkdir(parents=True)
    config = (folder / 'config.py').read_text()
    (other / 'config.py').write_text(config.replace(str(folder), str(other)))
    with open(other / 'log.txt', 'wb') as output:
        process = subprocess.Popen([*ablation.PRETRAIN, str(other)], stdout=output, stderr=output)
        while not (other / 'iter_2.pth').exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert not (other / 'result.json').exists()
    assert run(replace(plan, finetune=None), tmp_path / 'killed') == []
    again = json.loads((other / 'result.json').read_text())
    assert 'Data go on at iteration 2' in (other / 'log.txt').read_text()
    # The fingerprint of the exported backbone among them.
    assert {**again, 'seconds': 0} == {**result, 'seconds': 0}
    assert Path(other / 'backbone.pth').is_file()
