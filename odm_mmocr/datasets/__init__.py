from . import transforms
from .collate import packed_collate
from .indexed_dataset import IndexedOCRDataset
from .mixed_dataset import MixedDataset
from .samplers import SeededInfiniteSampler
from .seeded_dataset import SeededDataset
from .seeding import SampleIndex, seeded
from .synthesized_scene_text import SynthesizedSceneText
from .vocabulary import Vocabulary, build_vocabulary

__all__ = [
    'IndexedOCRDataset',
    'MixedDataset',
    'SampleIndex',
    'SeededDataset',
    'SeededInfiniteSampler',
    'SynthesizedSceneText',
    'Vocabulary',
    'build_vocabulary',
    'packed_collate',
    'seeded',
    'transforms',
]
