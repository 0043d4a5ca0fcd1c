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
    own = vocabulary.fingerprint
    slots = vocabulary.max_characters
    for prompt in prompts:
        if prompt.get('vocabulary', own) != own or prompt.tokens.shape[1] != slots:
            raise ValueError(
                f'the words of a prompt, in {prompt.tokens.shape[1]} slots each, are spelled with '
                f'another vocabulary than that of the model, which has {vocabulary.num_ids} ids '
                f'and {slots} slots: give PackODMInputs and the model the same vocabulary'
            )
