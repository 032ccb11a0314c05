"""From what `save eval --checkpoint` names to an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from savecli.cli.eval_options import Asked
    from savecli.core.progress import Progress
    from savecli.model.checkpoint import Origin
    from savecli.training.records import Evaluation
    from savecli.training.report import Querybank


def evaluation_of(spec: str, asked: Asked, *, with_bank: bool = False) -> tuple[Evaluation, Querybank | None]:
    """Of a kept file what is in it, of a model what it reaches on the dataset asked for; with the bank if wanted."""
    if spec.endswith(".npz"):
        from savecli.training.evaluation_file import read_evaluation

        return read_evaluation(Path(spec).expanduser()), None
    from savecli.cli.models import imported_models
    from savecli.cli.progress_bar import shown_progress
    from savecli.model.hub import Hub
    from savecli.model.open_checkpoint import open_checkpoint
    from savecli.model.precision import choose_device

    assert asked.dataset is not None
    device = choose_device(asked.device)
    with shown_progress() as progress:
        checkpoint = open_checkpoint(spec, hub=Hub(), device=device, imported=imported_models(), progress=progress)
        root = asked.root or _drawn_world(progress)
        options: dict[str, Any] = {
            "split": asked.split,
            "videos": asked.videos,
            "cache": asked.cache,
            "asr": asked.asr,
            "device": device,
            "precision": asked.precision or _origin(spec).precision,
            "batch_size": asked.batch_size,
            "progress": progress,
        }
        if with_bank:
            from savecli.training.post_processing import evaluate_with_bank

            return evaluate_with_bank(checkpoint, asked.dataset, root, **options)
        from savecli.training.session import evaluate_checkpoint

        return evaluate_checkpoint(checkpoint, asked.dataset, root, **options), None


def _drawn_world(progress: Progress) -> Path:
    """The folder of the synthetic dataset, drawn now unless it was before."""
    from savecli.cli.world import default_world, make_drawn_world

    root = default_world()
    make_drawn_world(root, progress)
    return root


def selection_of(spec: str) -> str:
    """How the epoch of a run's checkpoint was chosen, and on which dataset it learned; "" where no run is known."""
    if spec.endswith(".npz"):
        from savecli.training.evaluation_file import read_selection

        return read_selection(Path(spec).expanduser())
    return _origin(spec).selection


def _origin(spec: str) -> Origin:
    """What is known of the training of a model."""
    from savecli.cli.models import imported_models
    from savecli.model.checkpoint import Origin
    from savecli.model.open_checkpoint import checkpoint_folder
    from savecli.training.origins import known_origin

    if spec == "clip" or spec.startswith("clip:"):
        return Origin()
    return known_origin(checkpoint_folder(spec, imported=imported_models()))
