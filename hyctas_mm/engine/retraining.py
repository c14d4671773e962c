"""After the search: the chosen networks retrained and tested, beside random ones of like cost if asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture, Handover, SearchSpace, load_arch
from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.configs import build_runner, read_config, use_launcher, use_scope
from hyctas_mm.engine.export import plain_metainfo, write_architecture
from hyctas_mm.engine.extras import PLAIN, Extras
from hyctas_mm.engine.hooks.constant_prediction_hook import ConstantPredictionHook
from hyctas_mm.engine.predictions import draw_predictions
from hyctas_mm.engine.search_costs import finished_search_costs
from hyctas_mm.errors import BadValue
from hyctas_mm.files import read_json, write_json
from hyctas_mm.registry import DATASETS
from hyctas_mm.search.folder import HANDED_OVER, RANDOM, SearchFolder
from hyctas_mm.visualization import palette_of

RANDOM_TRIES = 2000


def retrain(
    folder: Path,
    seed: int = 0,
    num_pictures: int = 4,
    inherit: bool = False,
    options: Mapping[str, Any] | None = None,
    auto_scale_lr: bool = False,
    launcher: str = 'none',
    extras: Extras = PLAIN,
) -> dict[str, float]:
    """Trains and tests one exported network; does nothing if that is done.

    Writes ``results.json``: ``by_seed``, their mean as ``retrained``, ``inherited`` where the folder has the supernet's
    weights, and of the first seed what :mod:`hyctas_mm.report.doubts` judges by: the scores of a ``constant``
    prediction, and the classes ``never_predicted``. Of the first seed also ``retrained.pth`` and pictures into the
    search's ``predictions``.

    Args:
        folder: ``subnets/<archid>`` of a search.
        seed: Seed of the training.
        num_pictures: Images to draw predictions of.
        inherit: Whether to start from the supernet's weights instead of from scratch.
        options: Overrides of the config.
        auto_scale_lr: Scale the learning rate to the batch; otherwise the batch that it belongs to is reached, in
            pieces where the processes do not take it at once.
        launcher: What started the processes, all of which call this; the first one writes.
        extras: What is added to the config.

    Returns:
        Metrics of the retrained network on the test images.

    Raises:
        ValueError: If it was retrained from another start or with other extras, or has no weights to start from, or
            those of a network of other channels.
    """
    barrier()  # nobody reads what another one is still writing
    results = read_json(folder / 'results.json')
    barrier()
    done = results.setdefault('by_seed', {})
    if str(seed) in done:
        return dict(done[str(seed)])
    if done and results['inherit'] != inherit:
        start = {False: 'from scratch', True: "from the supernet's weights"}
        raise BadValue(
            f'{folder} was retrained {start[not inherit]}, now {start[inherit]}; move its results.json away to train '
            'it again'
        )
    if done and results.get('extras', {}) != extras.noted():
        raise BadValue(
            f'{folder} was retrained with extras {results.get("extras", {})}, now {extras.noted()}; move its '
            'results.json away to train it again'
        )
    results |= dict(inherit=inherit, extras=extras.noted())
    cfg = read_config(folder / 'config.py')
    cfg.merge_from_dict(dict(options or {}))
    extras.add_to(cfg)
    cfg.randomness = dict(seed=seed)
    use_launcher(cfg, launcher)
    fit_batch(cfg, accumulate='auto_scale_lr' in cfg and not auto_scale_lr, auto_scale_lr=auto_scale_lr)
    weights = folder / 'weights.pth'
    if inherit and not weights.exists():
        raise BadValue(
            f'{folder}: has no weights of the supernet to start from: none were exported, as for networks of other '
            'channels than its own; leave --inherit out'
        )
    if weights.exists() and 'inherited' not in results:
        results['inherited'] = test_metrics(start_runner(cfg, folder / 'inherited', load_from=str(weights)))
        if is_main_process():
            write_json(folder / 'results.json', results)
    runner = start_runner(cfg, folder / f'train{seed}', load_from=str(weights) if inherit else None)
    runner.train()
    first, master = not done, is_main_process()
    network = runner.model.module if is_model_wrapper(runner.model) else runner.model
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):  # in the test it puts the average in their place, then puts them back
            network.load_state_dict(hook.ema_model.module.state_dict())
    if first and master:
        ours = (folder / 'arch.json').is_file()  # of a handed-over network the folder has another name
        meta = dict(
            archid=arch_of(folder).archid if ours else folder.name,
            dataset_meta=plain_metainfo(runner.train_dataloader.dataset.metainfo),
        )
        torch.save(dict(meta=meta, state_dict=network.state_dict()), folder / 'retrained.pth')
    tested = ConstantPredictionHook()
    runner.register_hook(tested)
    done[str(seed)] = test_metrics(runner) | dict(iters=runner.max_iters)
    if first:
        results |= dict(constant=tested.found.scores(), never_predicted=tested.found.never_predicted())
    results['retrained'] = {
        name: float(np.mean([metrics[name] for metrics in done.values()])) for name in done[str(seed)]
    }
    if master:
        write_json(folder / 'results.json', results)
    if first and master:
        _draw(network, cfg, folder, num_pictures)
    return dict(done[str(seed)])


def _draw(network: nn.Module, cfg: Config, folder: Path, num_pictures: int) -> None:
    use_scope(cfg)
    dataset = DATASETS.build(dict(cfg.test_dataloader.dataset))
    draw_predictions(network.eval(), dataset, folder.parents[1] / 'predictions', folder.name, num_pictures)
    palette = dict(
        classes=list(dataset.metainfo['classes']), palette=[list(map(int, c)) for c in palette_of(dataset.metainfo)]
    )
    write_json(folder.parents[1] / 'palette.json', palette)


def start_runner(cfg: Config, work_dir: Path, load_from: str | None) -> Runner:
    """A runner of a network's config in a folder of its own, with the weights of a file that must fit."""
    cfg = cfg.copy()
    cfg.work_dir, cfg.load_from = str(work_dir), load_from
    cfg.experiment_name = (
        f'{work_dir.parent.name}-{work_dir.name}-{time.monotonic_ns()}'  # mmengine wants one name a runner
    )
    runner = build_runner(cfg, 'train', 'val', 'test')
    if load_from is not None:
        _check_weights(runner.model, load_from)
    return runner


def _check_weights(model: nn.Module, path: str) -> None:
    """mmengine loads what fits and leaves the rest as it is, with a line in the log."""
    there = read_checkpoint(path)['state_dict']
    here = (model.module if is_model_wrapper(model) else model).state_dict()
    wrong = [name for name, tensor in here.items() if name in there and there[name].shape != tensor.shape]
    if wrong:
        shapes = [tuple(state[wrong[0]].shape) for state in (there, here)]
        raise BadValue(
            f'{path}: weights of another network than its config ({wrong[0]}: {shapes[0]}, in the config {shapes[1]}); '
            'put the config back and give tools/retrain.py --base-channels and --low-level, which train from scratch'
        )


def test_metrics(runner: Runner) -> dict[str, float]:
    """Metrics on the test images."""
    return {name: float(value) for name, value in runner.test().items()}


def metric(metrics: Mapping[str, float], name: str) -> float:
    """A metric by its bare name: evaluators put their prefix before it."""
    return next(value for key, value in metrics.items() if key.split('/')[-1] == name)


def random_twin(
    arch: Architecture,
    cost: str,
    space: SearchSpace,
    costs: CandidateCosts,
    rng: np.random.Generator,
    tolerance: float = 0.05,
) -> Architecture:
    """A random architecture with as many branches and a like cost.

    Args:
        arch: The architecture to match.
        cost: The cost to match, e.g. ``latency_ms``.
        space: Where to draw from.
        costs: Prices architectures.
        rng: Random state.
        tolerance: Relative difference that is near enough.

    Returns:
        The first within the tolerance, else the nearest of many.
    """
    if cost not in costs(arch):
        raise BadValue(
            f'random networks of like {cost}: not known of networks with these channels, as the table of the target is '
            'of others; leave --random out, or search with train_cfg.handover'
        )
    wanted = costs(arch)[cost]
    nearest, distance = arch, np.inf
    for _ in range(RANDOM_TRIES):
        other = space.sample(rng, space.track_of(arch))
        if other.archid == arch.archid:
            continue
        gap = abs(costs(other)[cost] / wanted - 1)
        if gap < distance:
            nearest, distance = other, gap
        if distance <= tolerance:
            break
    return nearest


def hand_over(search: SearchFolder, folders: Sequence[Path], handover: Handover) -> list[Path]:
    """The folders of chosen networks as ``handover`` says that they are trained, made where they are missing; those of
    the search themselves where it exported them so.

    Args:
        search: A finished search.
        folders: Of its chosen networks.
        handover: How they are trained.
    """
    if handover == search.handover:
        return list(folders)
    cfg, costs = _as_trained(search, folders[0], handover)
    made = []
    for folder in folders:
        target, found = search.subnet(folder.name, handover), arch_of(folder)
        _add(target, cfg, handover, found, dict(role=HANDED_OVER, of=folder.name), costs)
        made.append(target)
    return made


def add_random(
    search: SearchFolder, count: int, seed: int, folders: Sequence[Path] = (), handover: Handover | None = None
) -> list[Path]:
    """Makes folders of random architectures of the chosen ones' cost, the n-th always the same for a seed; what is
    there stays.

    Args:
        search: A finished search.
        count: Number of random architectures.
        seed: Their seed.
        folders: The networks that are in turn the twins, by default all that were chosen.
        handover: How they are trained, by default as the search exports them.

    Returns:
        The folders.
    """
    twins, handover = folders or search.chosen(), handover or search.handover
    cfg, costs = _as_trained(search, twins[0], handover)
    made = []
    for number in range(count):
        twin = twins[number % len(twins)]
        arch = random_twin(arch_of(twin), search.cost, search.space, costs, np.random.default_rng([seed, number]))
        target = search.subnet(arch.archid, handover)
        _add(target, cfg, handover, arch, dict(role=RANDOM, twin_of=twin.name), costs)
        made.append(target)
    return made


def networks_to_train(search: SearchFolder, folders: Sequence[Path], handover: Handover) -> list[Path]:
    """What :func:`hand_over` and :func:`add_random` have made of chosen networks, by now and ever before."""
    made = [search.subnet(folder.name, handover) for folder in folders]
    names = {folder.name for folder in made}
    return made + [f for f in search.subnets() if read_json(f / 'results.json').get('twin_of') in names]


def largest(search: SearchFolder, folders: Sequence[Path]) -> Path:
    """Of networks of a search the one that multiplies and adds most."""
    known = {candidate.archid: candidate.costs for candidate in search.candidates()}
    return max(folders, key=lambda f: (read_json(f / 'results.json').get('costs') or known[f.name])['macs_g'])


def _as_trained(search: SearchFolder, folder: Path, handover: Handover) -> tuple[Config, CandidateCosts]:
    """An exported network's config, and what prices networks that are trained alike."""
    cfg = Config.fromfile(folder / 'config.py')  # before the costs, as it may import a user's own
    use_scope(cfg)
    return cfg, finished_search_costs(search, cfg.model.to_dict(), handover)


def _add(
    target: Path, cfg: Config, handover: Handover, arch: Architecture, noted: Mapping[str, Any], costs: CandidateCosts
) -> None:
    if not (target / 'results.json').exists():
        results = dict(noted, costs=costs(arch))  # takes long where latency is measured: the folder is made at once
        write_architecture(target, cfg, handover.arch(arch), handover.base_channels)
        write_json(target / 'results.json', results)


def arch_of(folder: Path) -> Architecture:
    """The architecture of an exported network."""
    return load_arch(folder / 'arch.json')
