"""Is the attention of a searched network where it belongs (paper section 4.5, Table 8)?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyctas_mm.archs import Architecture
from hyctas_mm.archs.perturbations import Variant, perturbations
from hyctas_mm.evaluators.trained_networks import mean_and_std
from hyctas_mm.files import write_json
from hyctas_mm.studies.finished_search import FinishedSearch


def measure_perturbations(
    search: FinishedSearch,
    arch: Architecture,
    iters: int | None = None,
    seeds: Sequence[int] = (0,),
    sample_seed: int = 0,
) -> dict[str, Any]:
    """Trains an architecture and its distorted variants from scratch.

    Args:
        search: The search that it comes from.
        arch: The architecture.
        iters: Steps of each training; those of the exported configs if None.
        seeds: Seeds of the trainings.
        sample_seed: Seed of where attention is shifted to.

    Returns:
        What ``WORK_DIR/evidence/perturb_<archid>.json`` holds: ``variants``, the original first, each with its score
        (mean and standard deviation over seeds), the difference to the original, costs, and a note where there is
        something to know, such as why it cannot be.
    """
    variants = [Variant('searched', arch), *perturbations(arch, np.random.default_rng(sample_seed), search.space)]
    archs = {v.arch.archid: v.arch for v in variants if v.arch is not None}
    results = search.trained_networks(iters).train(list(archs.values()), seeds, search.score)
    costs = search.costs()
    original = mean_and_std(list(results[arch.archid].values()))['mean'] or 0.0
    rows: list[dict[str, Any]] = []
    for variant in variants:
        row: dict[str, Any] = dict(name=variant.name, note=variant.note)
        if variant.arch is not None:
            score = mean_and_std(list(results[variant.arch.archid].values()))
            row |= dict(archid=variant.arch.archid, arch=variant.arch.to_dict(), costs=costs(variant.arch))
            row |= dict(score=score, difference=(score['mean'] or 0.0) - original)
        rows.append(row)
    result = dict(
        archid=arch.archid, score=search.score, sample_seed=sample_seed, seeds=list(seeds), iters=iters, variants=rows
    )
    write_json(search.evidence / f'perturb_{arch.archid}.json', result)
    return result
