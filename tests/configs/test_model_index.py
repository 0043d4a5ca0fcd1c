"""What `mim search odm_mmocr` reads."""

from pathlib import Path

import pytest
import yaml

from odm_mmocr.checkpoints import load_config
from odm_mmocr.checkpoints.swap import find_network

ROOT = Path(__file__).resolve().parents[2]
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))['Import']
METAFILES = {name: yaml.safe_load((ROOT / name).read_text(encoding='utf-8')) for name in INDEX}
MODELS = [model for content in METAFILES.values() for model in content['Models']]
DATA_SETS = {
    'icdar2015': 'ICDAR2015',
    'icdar2017': 'ICDAR2017',
    'ctw1500': 'CTW1500',
    'totaltext': 'TotalText',
    'synthtext': 'SynthText',
    'quickstart': 'synthesized images',
}
BACKBONES = {
    'resnet18': 'ResNet-18',
    'resnet50': 'ResNet-50',
    'resnet50-dcnv2': 'ResNet-50-DCN',
    'clip-resnet50': 'CLIP ResNet-50',
}


def users_configs() -> set[str]:
    """The configs that are there to be run; those of the bench and its plans belong to reports."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'configs').rglob('*.py')
        if not {'_base_', 'ablations', 'benchmark'} & set(path.parts)
    }


def test_every_metafile_is_imported():
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs').rglob('metafile.yml')}
    assert found == set(INDEX)


def test_every_config_is_named_once_and_every_name_exists():
    named = [model['Config'] for model in MODELS]
    assert len(named) == len(set(named))
    assert set(named) == users_configs()
    assert all(model['Name'] == Path(model['Config']).stem for model in MODELS)


@pytest.mark.parametrize('metafile', METAFILES)
def test_models_stand_beside_their_configs_and_in_their_collection(metafile):
    collections = {collection['Name'] for collection in METAFILES[metafile]['Collections']}
    models = METAFILES[metafile]['Models']
    assert {model['In Collection'] for model in models} == collections
    assert {Path(model['Config']).parent for model in models} == {Path(metafile).parent}


def test_names_of_collections_are_unique():
    names = [c['Name'] for content in METAFILES.values() for c in content['Collections']]
    assert len(names) == len(set(names))


def test_metadata_say_what_the_configs_do():
    names = {model['Name'] for model in MODELS}
    for model in MODELS:
        metadata = model['Metadata']
        if 'textdet' not in model['Config']:
            backbone = find_network(load_config(str(ROOT / model['Config'])))[0].backbone
            depth = f'ResNet-{backbone.depth}'
            clip = 'CLIP ' if backbone.type == 'CLIPResNet' else ''
            assert metadata['Backbone'] == clip + depth
            continue
        _, backbone, _, dataset = model['Name'].split('_')
        assert metadata['Backbone'] == BACKBONES[backbone]
        assert metadata['Training Data'] == DATA_SETS[dataset]
        assert metadata['Pre-training'] in names


def test_figures_have_a_table_and_weights_a_file():
    for model in MODELS:
        for result in model.get('Results', []):
            table = (ROOT / model['Table']).read_text(encoding='utf-8')
            assert all(f'{value:.3f}'.lstrip('0') in table for value in result['Metrics'].values())
        if 'Weights' in model:
            assert (ROOT / model['Weights']).is_file()


def test_mim_reads_the_index():
    loading = pytest.importorskip('modelindex.load_model_index')
    index = loading.load(str(ROOT / 'model-index.yml'))
    assert {model.name for model in index.models} == {model['Name'] for model in MODELS}
