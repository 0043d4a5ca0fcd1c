from . import transforms
from .samplers import SeededInfiniteSampler
from .seeded_dataset import SeededDataset
from .seeding import SampleIndex, seeded
from .vocabulary import Vocabulary, build_vocabulary

__all__ = [
    'SampleIndex',
    'SeededDataset',
    'SeededInfiniteSampler',
    'Vocabulary',
    'build_vocabulary',
    'seeded',
    'transforms',
]
