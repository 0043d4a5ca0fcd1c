from . import transforms
from .vocabulary import Vocabulary, build_vocabulary

__all__ = ['Vocabulary', 'build_vocabulary', 'transforms']
