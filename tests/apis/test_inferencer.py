"""ODMInferencer against the model that it wraps, and what it says about bad input."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from odm_mmocr.apis import ODMInferencer, build_model, predict_samples
from odm_mmocr.apis.inferencer import WAITING_BATCHES
from odm_mmocr.datasets.transforms import PackODMInputs
from odm_mmocr.pseudo_label import ReadWord
from odm_mmocr.visualization.inference import draw_prediction

CONFIG = Path(__file__).parents[2] / 'configs' / 'odm_pretrain_quickstart.py'


@pytest.fixture(scope='module')
def cfg():
    cfg = Config.fromfile(CONFIG)
    # Ready for images of any size at once, and small.
    cfg.model.text_controller.update(depth=1, word_depth=1)
    return cfg


@pytest.fixture(scope='module')
def checkpoint(cfg, tmp_path_factory):
    """As a training leaves it, of a model whose words matter."""
    torch.manual_seed(3)
    model = build_model(cfg)
    for parameter in model.text_controller.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp('run') / 'iter_7.pth'
    meta = dict(cfg=cfg.pretty_text, iter=7)
    torch.save(dict(meta=meta, state_dict=model.state_dict(), optimizer={}), path)
    return path


class Reader:
    """Reads the same in every image."""

    def __init__(self, *texts):
        self.texts = texts

    def __call__(self, image):
        assert image.dtype == np.uint8 and image.shape[2] == 3
        place = np.zeros((4, 2), np.float32)
        return [ReadWord(text, place, 0.9 - 0.01 * i) for i, text in enumerate(self.texts)]


@pytest.fixture(scope='module')
def inferencer(checkpoint):
    return ODMInferencer(weights=checkpoint, device='cpu', reader=Reader('open', 'exit'))


@pytest.fixture
def reading(inferencer):
    """The inferencer with another reader."""

    def build(reader):
        other = ODMInferencer.__new__(ODMInferencer)
        other.__dict__.update(inferencer.__dict__, _reader=reader)
        return other

    return build


def noise(*shape, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def predict(inferencer, inputs, words, **options):
    return inferencer(inputs, words, progress=False, **options)['predictions']


@pytest.fixture
def warned(monkeypatch):
    """What is logged."""
    messages = []
    monkeypatch.setattr(
        'odm_mmocr.apis.inferencer.print_log',
        lambda message, logger=None, level=logging.INFO: messages.append(message),
    )
    return messages


def test_an_image_of_network_size_gives_what_the_model_gives(inferencer, cfg):
    words = ['open', 'taxi']
    samples = [
        PackODMInputs(max_words=4)(dict(img=image, img_shape=(96, 128), prompt_texts=words))
        for image in (noise(96, 128), noise(96, 128, seed=1))
    ]
    maps = predict_samples(inferencer.model, samples)
    found = predict(inferencer, [noise(96, 128), noise(96, 128, seed=1)], words, batch_size=2)
    for prediction, wanted in zip(found, maps, strict=True):
        assert prediction['network_size'] == prediction['padded_size'] == (96, 128)
        assert prediction['map'].dtype == np.float32
        np.testing.assert_allclose(prediction['map'], wanted, atol=1e-6)
    (other,) = predict(inferencer, noise(96, 128), ['police'])
    assert np.abs(other['map'] - maps[0]).max() > 1e-3


def test_a_config_and_what_the_checkpoint_carries_are_the_same(inferencer, cfg, checkpoint):
    image = noise(70, 50)
    (wanted,) = predict(inferencer, image, ['sale'])
    for model in (cfg, cfg.to_dict()):
        (found,) = predict(ODMInferencer(model, checkpoint, 'cpu'), image, ['sale'])
        np.testing.assert_array_equal(found['map'], wanted['map'])


def test_batches_of_mixed_sizes_equal_one_by_one(inferencer):
    sizes = [(96, 128), (300, 200), (60, 128), (90, 128), (33, 60), (128, 90), (20, 128), (96, 120)]
    images = [noise(*size, seed=i) for i, size in enumerate(sizes)]
    words = [['open'], ['exit', 'taxi', 'sale'], [], ['bank'], ['x'], ['open'], ['a', 'b'], ['c']]
    alone = [predict(inferencer, image, w)[0] for image, w in zip(images, words, strict=True)]
    for batch_size in (2, 8):
        together = predict(inferencer, images, words, batch_size=batch_size)
        for one, other, size in zip(alone, together, sizes, strict=True):
            assert other['map'].shape == other['size'] == size
            np.testing.assert_allclose(other['map'], one['map'], atol=1e-5)
            np.testing.assert_allclose(other['attention'], one['attention'], atol=1e-5)
            assert [w['text'] for w in other['words']] == [w['text'] for w in one['words']]
            for a, b in zip(other['words'], one['words'], strict=True):
                assert a['score'] == pytest.approx(b['score'], abs=1e-5)


def test_few_images_wait_for_others_of_their_size(reading):
    """Each has its own size: nothing fills a batch, yet results come before the end."""
    loaded = []

    class Counted(Reader):
        def __call__(self, image):
            loaded.append(image.shape)
            return super().__call__(image)

    other = reading(Counted('open'))
    images = [noise(8 * i, 128) for i in range(1, 14)]
    next(other.iterate(images, batch_size=2, scale=512, progress=False))
    assert len(loaded) == 2 * WAITING_BATCHES


def test_scores_are_those_of_the_places_in_the_image(inferencer):
    image = noise(40, 128)  # the lower of two cells of 32 rows is padding for the most part
    (found,) = predict(inferencer, image, ['open', 'caféx'])
    assert found['padded_size'] == (64, 128) and found['located'].shape == (2, 4, 8)
    for word, cells in zip(found['words'], found['located'], strict=True):
        assert word['score'] == pytest.approx(cells[:3].max())
    assert [word['known'] for word in found['words']] == [1, 0.8]
    assert -1 <= found['similarity'] <= 1
    (bare,) = predict(inferencer, image, ['open', 'caféx'], attention=False)
    assert not {'attention', 'located'} & set(bare) and bare['words'] == found['words']


def test_the_similarity_is_the_cosine_of_the_features(inferencer):
    model = inferencer.model
    for words in (['open'], ['taxi', 'sale']):
        pack = PackODMInputs(max_words=4)
        sample = pack(dict(img=noise(96, 128), img_shape=(96, 128), prompt_texts=words))
        batch = model.data_preprocessor(pseudo_collate([sample]))
        with torch.no_grad():
            (wanted,) = model.predict(batch['inputs'], batch['data_samples'])
        features = wanted.pred_features
        cosine = torch.cosine_similarity(features.image, features.text, dim=0).item()
        (found,) = predict(inferencer, noise(96, 128), words)
        assert found['similarity'] == pytest.approx(cosine, abs=1e-5)
        assert abs(cosine) > 1e-3


def test_without_match_the_attention_is_the_score(cfg):
    cfg = cfg.copy()
    cfg.model = {**cfg.model, 'loss_word': None}
    cfg.model.text_controller = {**cfg.model.text_controller, 'match': False}
    with pytest.warns(UserWarning, match='no weights'):
        inferencer = ODMInferencer(cfg, device='cpu')
    (found,) = predict(inferencer, noise(96, 128), ['open', 'exit'])
    assert 'located' not in found
    for word, cells in zip(found['words'], found['attention'], strict=True):
        assert word['score'] == pytest.approx(cells.max())


def test_an_empty_prompt_is_a_prompt(inferencer):
    (found,) = predict(inferencer, noise(96, 128), [])
    assert found['words'] == [] and found['similarity'] is None
    assert found['map'].shape == (96, 128) and found['attention'].shape[0] == 0


def test_the_size_is_that_of_training(inferencer, cfg):
    assert (inferencer.scale, inferencer.max_words) == (128, 4)
    (found,) = predict(inferencer, noise(30, 20), ['open'])
    assert found['network_size'] == (128, 85) and found['map'].shape == (30, 20)
    (found,) = predict(inferencer, noise(30, 20), ['open'], scale=64)
    assert found['network_size'] == (64, 43)
    cropped = Config.fromfile(CONFIG.with_name('odm_pretrain_resnet18.py'))
    cropped.model = cfg.model
    for given, scale in ((cropped, 512), (dict(model=cfg.model.to_dict()), 128)):
        with pytest.warns(UserWarning, match='no weights'):
            other = ODMInferencer(given, device='cpu')
        assert other.scale == scale


@pytest.mark.slow
def test_large_images_are_taken(inferencer):
    (found,) = predict(inferencer, np.zeros((6000, 8000), np.uint8), ['open'])
    assert found['map'].shape == (6000, 8000) and found['network_size'] == (96, 128)


def test_without_words_the_reading_is_the_prompt(inferencer, checkpoint, warned):
    (found,) = predict(inferencer, noise(96, 128), None)
    assert [word['text'] for word in found['words']] == ['open', 'exit']
    reader = Reader('one', 'two', '汉', 'three', 'four', 'five')
    many = ODMInferencer(weights=checkpoint, device='cpu', reader=reader)
    first, second = predict(many, [noise(96, 128)] * 2, [None, ['six']])
    assert [word['text'] for word in first['words']] == ['one', 'two', 'three', 'four']
    assert [word['text'] for word in second['words']] == ['six']
    (message,) = warned
    assert "array_0: read, but not prompted: '汉' (no character" in message
    assert "'five' (4 words were read with higher scores)" in message


def test_long_and_strange_prompts_are_run_and_told_once(inferencer, warned):
    words = [f'w{i}' for i in range(199)] + ['ü' + 30 * 'x']
    found = predict(inferencer, [noise(96, 128)] * 2, words, batch_size=2)
    assert [len(p['words']) for p in found] == [200, 200]
    assert len(warned) == 3
    told = ' '.join(warned)
    assert '200 words are prompted at once; training saw at most 4' in told
    assert 'first 24 characters' in told and 'does not know ü' in told


def test_a_model_with_slots_refuses_more_words(cfg):
    cfg = cfg.copy()
    cfg.model = {**cfg.model, 'loss_word': None}
    cfg.model.text_controller = {
        **cfg.model.text_controller,
        'match': False,
        'mask_padding': False,
    }
    with pytest.warns(UserWarning, match='no weights'):
        inferencer = ODMInferencer(cfg, device='cpu')
    few, more = predict(inferencer, [noise(96, 128)] * 2, [['a'], ['b', 'c']], batch_size=2)
    assert (len(few['words']), len(more['words'])) == (1, 2)
    with pytest.raises(ValueError, match='5 words, but this model takes 4'):
        predict(inferencer, noise(96, 128), list('abcde'))


def test_bad_words_are_named_before_any_image_is_read(inferencer):
    reader = inferencer.iterate(['absent.jpg', 'gone.jpg'], [['open'], [' ']], progress=False)
    with pytest.raises(ValueError, match="gone.jpg: the word ' ' is blank"):
        next(reader)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for index, name in enumerate(('a.png', 'c.png')):
        cv2.imwrite(str(folder / name), noise(100, 150, seed=index))
    _, data = cv2.imencode('.png', noise(200, 200))
    (folder / 'b.png').write_bytes(data.tobytes()[:-3000])
    return folder


def test_damaged_images_stop_or_are_skipped(inferencer, folder, warned):
    with pytest.raises(ValueError, match=r'b\.png .*is cut off or damaged'):
        predict(inferencer, folder, ['open'])
    result = inferencer(folder, ['open'], skip_bad=True, progress=False, return_vis=True)
    assert [p and p['name'] for p in result['predictions']] == ['a', None, 'c']
    assert [v is None for v in result['visualization']] == [False, True, False]
    (message,) = warned
    assert message.startswith('skipped: ') and 'b.png' in message


class Failing(Reader):
    """Fails as engines do: with exceptions of their own."""

    def __init__(self, error):
        super().__init__('open')
        self.error = error

    def __call__(self, image):
        if image.shape[0] == 100:
            raise self.error
        return super().__call__(image)


class EngineError(Exception):
    """Derived from nothing that a caller may expect."""


@pytest.mark.parametrize('error', [RuntimeError('no\nroom'), cv2.error('resize'), EngineError('')])
def test_readings_that_fail_are_those_of_their_image(reading, warned, error):
    images = [noise(96, 128), noise(100, 150), noise(80, 90)]
    failing = reading(Failing(error))
    message = rf'array_1 \(150x100 pixels\): the OCR engine has failed with {type(error).__name__}'
    with pytest.raises(ValueError, match=message) as caught:
        predict(failing, images, None)
    assert '\n' not in str(caught.value)
    found = predict(failing, images, None, skip_bad=True)
    assert [p and p['name'] for p in found] == ['array_0', None, 'array_2']
    (told,) = warned
    assert told.startswith('skipped: array_1')


def test_what_fails_in_the_model_stops_the_run(inferencer, monkeypatch):
    def fail(*args, **options):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(inferencer.model, 'predict', fail)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        predict(inferencer, noise(96, 128), None, skip_bad=True)


def test_results_are_written_where_they_are_asked_for(inferencer, folder, tmp_path):
    (folder / 'b.png').unlink()
    (folder / 'deeper').mkdir()
    cv2.imwrite(str(folder / 'deeper' / 'a.png'), noise(60, 60))
    inputs = [folder / 'a.png', folder / 'deeper' / 'a.png']
    out = tmp_path / 'results'
    found = predict(inferencer, inputs, ['open'], out_dir=out, save_pred=True)
    assert sorted(p.name for p in out.rglob('*.*')) == ['a.json', 'a.png', 'a_2.json', 'a_2.png']
    told = json.loads((out / 'preds' / 'a_2.json').read_text())
    assert told['image'] == str(inputs[1]) and told['map'] == 'a_2.png'
    assert told['words'] == found[1]['words'] and told['size'] == [60, 60]
    saved = cv2.imread(str(out / 'preds' / 'a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(saved / 255, found[0]['map'], atol=0.5 / 255 + 1e-6)
    predict(inferencer, inputs, ['open'], out_dir=out)
    assert sorted(p.name for p in (out / 'vis').iterdir()) == ['a.jpg', 'a_2.jpg']
    with pytest.raises(ValueError, match='need out_dir'):
        predict(inferencer, inputs, ['open'], save_vis=True)


def test_pictures_show_the_image_and_each_word(inferencer):
    image = np.zeros((96, 128, 3), np.uint8)
    image[..., 0] = 200  # blue
    (few,) = inferencer(image, ['open'], return_vis=True, progress=False)['visualization']
    (more,) = inferencer(image, list('abcdefgh'), return_vis=True, progress=False)['visualization']
    assert few.dtype == np.uint8 and more.shape[0] > few.shape[0] and more.shape[1] > few.shape[1]
    row = few[few.shape[0] // 2]
    assert ((row == (0, 0, 200)).all(1)).sum() >= 256  # enlarged, RGB
    (bare,) = inferencer(image, ['open'], return_vis=True, progress=False, draw_pred=False)[
        'visualization'
    ]
    np.testing.assert_array_equal(bare, image[..., ::-1])
    assert torch.from_numpy(few).shape == few.shape and torch.from_numpy(bare)[0, 0, 2] == 200


def test_pictures_show_what_is_predicted(inferencer):
    image, words = noise(96, 128), ['open', 'taxi']
    pictures = []
    for threshold in (0, 1):
        result = inferencer(image, words, threshold=threshold, return_vis=True, progress=False)
        (found,), (picture,) = result['predictions'], result['visualization']
        scored = [(word['text'], word['score']) for word in found['words']]
        wanted = draw_prediction(
            image, found['map'], scored, found['located'], found['padded_size'], threshold
        )
        np.testing.assert_array_equal(picture, wanted[..., ::-1])
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).any()


def test_showing_needs_a_display(inferencer, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('sys.platform', 'linux')
    with pytest.raises(RuntimeError, match=r'needs a display.*out_dir'):
        predict(inferencer, noise(96, 128), ['open'], show=True)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(batch_size=0), 'batch_size=0'),
        (dict(scale=8), 'scale=8; expected 32'),
        (dict(threshold=2), 'threshold=2'),
    ],
)
def test_wrong_arguments_are_named(inferencer, options, message):
    with pytest.raises(ValueError, match=message):
        predict(inferencer, noise(96, 128), ['open'], **options)


def test_checkpoints_without_a_text_side_are_named(cfg, checkpoint, backbone_file, tmp_path):
    with pytest.raises(ValueError, match=r'no text_controller.*\(a backbone\).*iter_5000'):
        ODMInferencer(weights=backbone_file('resnet18'))
    detector = tmp_path / 'epoch_1.pth'
    names = ('backbone.conv1.weight', 'det_head.binarize.weight')
    torch.save(dict(state_dict={name: torch.zeros(1) for name in names}), detector)
    with pytest.raises(ValueError, match=r'epoch_1\.pth.*\(a detector\).*pre-training'):
        ODMInferencer(cfg, detector)
    with pytest.raises(ValueError, match='neither model nor weights'):
        ODMInferencer()
    with pytest.raises(FileNotFoundError, match='absent.pth does not exist'):
        ODMInferencer(weights='absent.pth')
    with pytest.raises(ValueError, match='no device'):
        ODMInferencer(weights=checkpoint, device='gpu')


def test_a_config_in_a_checkpoint_runs_nothing(checkpoint, tmp_path, monkeypatch):
    content = torch.load(checkpoint, weights_only=True)
    mark, module = tmp_path / 'mark', tmp_path / 'module_of_a_stranger.py'
    module.write_text(f'open({str(mark)!r}, "w")')
    monkeypatch.syspath_prepend(tmp_path)
    for text, message in (
        ("model = dict(type='ODM', head=dict(type='os.system'))", "type 'os.system', which is no"),
        (f"model = dict(type='mmengine.put_text', obj='x', filepath={str(mark)!r})", 'put_text'),
        (f"model = dict(type='ODM', head=[dict(type='{module.stem}')])", module.stem),
        ("model = __import__('os').system('true')", 'not what mmengine dumps'),
        (None, 'has no config in its meta'),
    ):
        path = tmp_path / 'strange.pth'
        torch.save(dict(content, meta=dict(cfg=text)), path)
        with pytest.raises(ValueError, match=message):
            ODMInferencer(weights=path)
    assert not mark.exists()


def test_feature_networks_of_the_losses_are_not_needed(cfg, checkpoint):
    cfg = cfg.copy()
    cfg.model = {**cfg.model, 'loss_ocr': dict(type='OCRLPIPSLoss', features=dict(type='Absent'))}
    assert ODMInferencer(cfg, checkpoint, 'cpu').model.loss_ocr is None
    assert cfg.model.loss_ocr is not None
