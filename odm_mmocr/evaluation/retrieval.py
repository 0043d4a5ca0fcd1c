"""Do image and words find each other by their global features?"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmocr.registry import METRICS

_BLOCK = 1024  # rows of the similarity matrix at once


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """Recall of image-to-text and text-to-image retrieval over the whole set.

    The text of an image are the prompted words that it shows, as a set; images with the same words
    have one text. Noise words are no part of it, and images without a text are left out.

    - ``i2t_recall@k``: share of the images whose text is among the k texts most similar to them.
    - ``t2i_recall@k``: share of the texts that have one of their images among the k images most
      similar to them.

    Similarity is the cosine of the global features. Of equal ones the wrong one counts as more
    similar, so that constant features find nothing. Where there are no more than k texts, or
    images, to choose from, a figure would be 1 for any model and is left out.

    Args:
        ks: The k.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.

    Raises:
        ValueError: A k is below 1, or there is none.
    """

    default_prefix = 'odm'

    def __init__(
        self,
        ks: Sequence[int] = (1, 5, 10),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        if not ks or min(ks) < 1:
            raise ValueError(f'ks={ks}: expected numbers of 1 or more')
        self.ks = tuple(ks)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep the features of predicted samples."""
        for sample in data_samples:
            features, prompt = sample['pred_features'], sample['prompt']
            shown = prompt['shown'].tolist()
            words = {text for text, is_shown in zip(prompt['texts'], shown) if is_shown}
            self.results.append(
                dict(
                    words=tuple(sorted(words)),
                    **{
                        name: features[name].float().cpu().numpy().reshape(-1)
                        for name in ('image', 'text')
                    },
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict:
        """Rank all texts for each image, and all images for each text."""
        results = [result for result in results if result['words']]
        if not results:
            return {}
        numbers: dict[tuple, int] = {}
        owner = np.array([numbers.setdefault(r['words'], len(numbers)) for r in results])
        images = np.stack([result['image'] for result in results])  # (N, C)
        first = np.unique(owner, return_index=True)[1]
        texts = np.stack([results[index]['text'] for index in first])  # (T, C)
        found = dict(
            i2t=rank_own(images, texts, owner[:, None] == np.arange(len(texts))),
            t2i=rank_own(texts, images, np.arange(len(texts))[:, None] == owner),
        )
        return {
            f'{way}_recall@{k}': float((ranks <= k).mean())
            for (way, ranks), choice in zip(found.items(), (len(texts), len(images)))
            for k in self.ks
            if choice > k
        }


def rank_own(queries: np.ndarray, items: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Rank, for each query, the best of its own items among all others.

    Args:
        queries: (Q, C), of length 1.
        items: (I, C), of length 1.
        own: bool (Q, I), at least one item for each query.

    Returns:
        int (Q,), 1 for the most similar; items not its own that are as similar stand before,
        and where a feature is NaN all do.
    """
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _BLOCK):
        block = slice(start, start + _BLOCK)
        similarity = queries[block] @ items.T
        best = np.where(own[block], similarity, -np.inf).max(1, keepdims=True)
        ranks[block] = 1 + (~(similarity < best) & ~own[block]).sum(1)
    return ranks
