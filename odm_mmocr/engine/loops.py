"""Training by iterations that resumes at the right sample at once."""

from pathlib import Path

from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, is_main_process
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from mmocr.registry import LOOPS
from torch.utils.data import DataLoader

from odm_mmocr.output_files import written_whole

from .seeding import seed_step
from .stopping import shield_workers

LAST_VALIDATION = 'last_validation'  # file beside MMEngine's last_checkpoint


@LOOPS.register_module()
class ResumableIterTrainLoop(IterBasedTrainLoop):
    """MMEngine's loop by iterations, without replaying the data when it resumes.

    MMEngine draws and throws away every batch up to the iteration it resumes from. A sampler
    with ``seek(position)``, such as :class:`SeededInfiniteSampler`, is told where to go on
    instead. Every step has a random state of its own (:func:`seed_step`), so that an interrupted
    run ends as an unbroken one. A checkpoint is written before the validation of its iteration;
    where a stop cut that off, it is made up for before the first step.

    Args:
        runner, dataloader, max_iters, val_begin, val_interval, dynamic_intervals: As in
            :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        TypeError: Resuming with a sampler that cannot seek.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, *args, **kwargs):
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(
                dataloader, runner.seed, runner._randomness_cfg.get('diff_rank_seed', False)
            )
        shield_workers(dataloader)  # before MMEngine starts them
        super().__init__(runner, dataloader, *args, **kwargs)
        self._rank = get_rank()

    def run(self):
        """Train until ``max_iters``."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        started = all_gather_object(self._iter)
        if len(set(started)) > 1:
            raise RuntimeError(
                f'the processes go on at different iterations, {started}: they do not see the same '
                'checkpoints; give all the same work directory, or --resume the same file'
            )
        if self._iter > 0:
            self.seek(self._iter)
            self._decide_current_val_interval()
            if self.must_validate() and self.last_validation() != self._iter:
                self.validate()
        elif is_main_process():
            self._noted.unlink(missing_ok=True)  # of an earlier training
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(self.next_batch())
            self._decide_current_val_interval()
            if self.must_validate():
                self.validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch):
        """Do one step."""
        seed_step(self.runner.seed, self._rank, self._iter)
        super().run_iter(data_batch)

    def next_batch(self):
        """Take a batch from the loader.

        Raises:
            RuntimeError: A worker is gone; PyTorch says so itself, unless the worker goes just when
                it hands a batch over.
        """
        try:
            return next(self.dataloader_iterator)
        except (OSError, EOFError) as error:
            if not self.dataloader.num_workers or 'DataLoader worker' in str(error):
                raise  # from the data set itself
            raise RuntimeError(
                'a DataLoader worker was killed or exited while it handed over a batch; mostly it '
                'is the system that kills one, for want of memory'
            ) from error

    def must_validate(self) -> bool:
        """Whether validation is due after the iteration just done."""
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )

    def validate(self) -> None:
        """Validate, and note in the work directory that this is done."""
        self.runner.val_loop.run()
        if is_main_process():
            with written_whole(self._noted) as file:
                file.write(str(self._iter).encode())

    def last_validation(self) -> int:
        """Iteration of the last validation that came to its end in this work directory, or -1."""
        found = [-1]
        if is_main_process() and self._noted.is_file():
            text = self._noted.read_text()
            found = [int(text) if text.isdecimal() else -1]
        broadcast_object_list(found)
        return found[0]

    @property
    def _noted(self) -> Path:
        return Path(self.runner.work_dir, LAST_VALIDATION)

    def seek(self, iteration: int) -> None:
        """Let the next batch be the one that belongs to ``iteration``."""
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'seek'):
            raise TypeError(
                f'{type(sampler).__name__} cannot seek, so training cannot go on at iteration '
                f"{iteration}: use sampler=dict(type='SeededInfiniteSampler')"
            )
        sampler.seek(iteration * self.dataloader.batch_size)
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)
        self.runner.logger.info(f'Data go on at iteration {iteration}, nothing is replayed')
