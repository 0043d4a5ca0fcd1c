"""ODM with parameters, gradients and optimizer state shared out among the processes."""

from mmengine.model import MMFullyShardedDataParallel
from mmocr.registry import MODEL_WRAPPERS

from .odm import ODM


@MODEL_WRAPPERS.register_module()
class ODMFullyShardedDataParallel(MMFullyShardedDataParallel):
    """MMEngine's wrapper for FSDP, which takes no scalar parameter, for a model that has one.

    ``logit_scale`` stays whole in every process and its gradient is not averaged. It need not be:
    the contrastive loss is that of the whole batch in each of them.

    Args:
        module: The model; ``channels_last=False``, since shards know no memory order.
        **kwargs: As in :class:`mmengine.model.MMFullyShardedDataParallel`.
    """

    def __init__(self, module: ODM, **kwargs):
        super().__init__(module, ignored_states=[module.logit_scale], **kwargs)
