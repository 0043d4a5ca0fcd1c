import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from odm_mmocr.checkpoints import check_fit, latest_checkpoint, load_checkpoint
from odm_mmocr.checkpoints.loading import find_fault


def test_malicious_pickle_is_refused_and_not_run(tmp_path, payload):
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, meta=payload), path)
    with pytest.raises(ValueError, match=r'evil\.pth holds posix.system.*refused'):
        load_checkpoint(path)


def test_training_state_of_mmengine_is_read(tmp_path):
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(message_hub=dict(loss=HistoryBuffer([1.0], [1]))), path)
    assert load_checkpoint(path)['message_hub']['loss'].current() == 1.0


@pytest.mark.parametrize('share', [0, 0.3, 0.99])
def test_truncated_file_is_named(tmp_path, share):
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1000))), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r'iter_1\.pth .*bytes.* cut off'):
        load_checkpoint(path)


@pytest.mark.parametrize('content', [b'\x89PNG\r\n\x1a\n', b'hello\n', b'<html></html>'])
def test_other_file_is_named(tmp_path, content):
    path = tmp_path / 'picture.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'picture\.pth'):
        load_checkpoint(path)


def test_wrong_path_and_content(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_checkpoint(tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match='is a folder'):
        load_checkpoint(tmp_path)
    torch.save([1], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='holds a list'):
        load_checkpoint(tmp_path / 'list.pth')


def save_run(folder, *iterations):
    for iteration in iterations:
        torch.save(dict(state_dict=dict(w=torch.ones(100))), folder / f'iter_{iteration}.pth')
    (folder / 'last_checkpoint').write_text(str(folder / f'iter_{iterations[-1]}.pth'))


def test_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    save_run(tmp_path, 9, 10, 2)
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_2.pth'
    # The run has been moved: the path in the file is the one from before.
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_2.pth')
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_2.pth'
    # The run has been copied: the original may have been trained anew.
    other = tmp_path / 'other'
    other.mkdir()
    save_run(other, 2)
    (tmp_path / 'last_checkpoint').write_text(str(other / 'iter_2.pth'))
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_2.pth'
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_3.pth')
    with pytest.raises(FileNotFoundError, match=r'iter_3\.pth, which is gone.*iter_2\.pth'):
        latest_checkpoint(tmp_path)


@pytest.mark.parametrize('pointer', ['', None])
def test_the_last_checkpoint_without_its_pointer(tmp_path, pointer):
    save_run(tmp_path, 9, 10)
    torch.save({}, tmp_path / 'backbone_resnet18.pth')
    (tmp_path / 'last_checkpoint').unlink()
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_10.pth'


def flip(content):
    middle = content.index(np.float32(1).tobytes() * 50)
    return content[:middle] + b'\xff' + content[middle + 1 :]


@pytest.mark.parametrize(
    'damage',
    [lambda c: b'', lambda c: c[:100], lambda c: c[:-1], lambda c: bytes(len(c)), flip],
    ids=['empty', 'head', 'one byte less', 'zeros', 'one byte other'],
)
def test_a_damaged_last_checkpoint(tmp_path, damage, caplog):
    save_run(tmp_path, 5, 9, 10)
    for name in ('iter_10.pth', 'iter_9.pth'):
        path = tmp_path / name
        path.write_bytes(damage(path.read_bytes()))
        assert find_fault(path)
    assert find_fault(tmp_path / 'iter_5.pth') is None
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_5.pth'
    (tmp_path / 'iter_5.pth').unlink()
    with pytest.raises(ValueError, match=r'no checkpoint in .* whole: iter_10.pth, iter_9'):
        latest_checkpoint(tmp_path)


def test_weights_of_another_model_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    weights = {k: v for k, v in model.state_dict().items() if 'num_batches' not in k}
    check_fit(weights, model, 'iter_1.pth')
    wrapped = nn.Module()
    wrapped.module = model
    check_fit(weights, wrapped, 'iter_1.pth')
    larger = dict(weights, more=torch.ones(1))
    check_fit(larger, model, 'iter_1.pth', allow_more=True)
    with pytest.raises(ValueError, match=r'iter_1\.pth.*: 1 tensors that the model.*such as more$'):
        check_fit(larger, model, 'iter_1.pth')
    wrong = dict(weights, **{'1.bias': torch.ones(5)})
    del wrong['0.weight']
    with pytest.raises(ValueError, match=r'iter_1\.pth.*: 2 tensors that are.*0\.weight, 1\.bias$'):
        check_fit(wrong, model, 'iter_1.pth', allow_more=True)
