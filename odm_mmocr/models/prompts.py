"""Whether the words of a batch are spelled as the model reads them."""

from collections.abc import Sequence

from mmengine.structures import LabelData

from odm_mmocr.datasets.vocabulary import Vocabulary


def check_vocabulary(prompts: Sequence[LabelData], vocabulary: Vocabulary) -> None:
    """Compare the vocabulary that made the tokens with the one of a model.

    Args:
        prompts: The `prompt` of each sample.
        vocabulary: The vocabulary of the model.

    Raises:
        ValueError: A prompt was encoded with another one.
    """
    known = (vocabulary.num_ids, vocabulary.max_characters)
    for prompt in prompts:
        given = (prompt.get('num_ids', known[0]), prompt.tokens.shape[1])
        if given != known:
            raise ValueError(
                f'(ids, characters a word) are {given} in the prompt and {known} in the model: '
                'give PackODMInputs and the model the same vocabulary'
            )
