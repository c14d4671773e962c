"""A chosen network as a folder that people can run: files for their runtimes, what they score, how long they take."""

from __future__ import annotations

import datetime
import hashlib
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from hyctas_mm.costs.targets import Ncnn, Target, on_device
from hyctas_mm.deploy.card import write_card
from hyctas_mm.deploy.description import KEY, NetDescription
from hyctas_mm.deploy.export import ExportOptions, export_onnx, load_network
from hyctas_mm.deploy.images import open_dataset, spread_images
from hyctas_mm.deploy.onnx_net import OnnxNet, RuntimeNet
from hyctas_mm.deploy.quantize import quantize
from hyctas_mm.deploy.scoring import score
from hyctas_mm.engine.configs import read_config, use_scope
from hyctas_mm.engine.int8 import calibration_images
from hyctas_mm.engine.int8_parts import changed_pixels
from hyctas_mm.engine.int8_training import TRAINED_ON
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.files import alone, read_json, write_json
from hyctas_mm.report.doubts import better_weights

FORMAT = 'hyctas_mm/deploy-1'
NOTES = 'deploy.json'
"""What is there, of which weights, its scores and times; the README is made from it."""
SUFFIXES = dict(onnxruntime='.onnx', openvino='.xml', ncnn='.ncnn.param')
"""Of the file that each runtime opens; the .bin beside it is OpenVINO's or ncnn's, so their names must differ."""
WEIGHTS = ('retrained.pth', 'weights.pth')
INT8 = str(Target.read('onnxruntime', 'int8'))
HARM_IMAGES = 16
"""Training images on which 8 bits are compared with floats."""
FILE = ExportOptions(outputs='classes', preprocessing=True, channel_order='bgr')
"""An image goes in as OpenCV reads it, classes come out."""
RAW = ExportOptions()
"""What pnnx takes: normalised floats in, logits out."""


@dataclass(frozen=True)
class FolderOptions:
    """What to write.

    Attributes:
        input_hw: Height and width in pixels.
        targets: Some of :data:`SUFFIXES`.
        precisions: Some of ``'fp32'``, ``'int8'``; each target gets those that it has.
        threads: Threads to measure with.
        calibration: Training images to calibrate 8-bit files on.
        val_images: Validation images to score each file on, spread over them; None for all.
        seconds: Time for a file in each round of measuring.
        rounds: Rounds that visit all files.
    """

    input_hw: tuple[int, int]
    targets: tuple[str, ...] = ('onnxruntime',)
    precisions: tuple[str, ...] = ('fp32',)
    threads: int = 1
    calibration: int = 64
    val_images: int | None = None
    seconds: float = 0.5
    rounds: int = 3

    def wanted(self) -> list[Target]:
        """What to write, each after what it is made from.

        Raises:
            ValueError: For a runtime that files are not written for, or that has none of the precisions.
            MissingPackage: If one is not installed; the message says how.
        """
        unknown = [name for name in self.targets if name not in SUFFIXES]
        if unknown:
            raise BadValue(f'targets has {", ".join(unknown)}; expected some of {", ".join(SUFFIXES)}')
        pairs = [('onnxruntime', 'fp32')]
        if 'int8' in self.precisions and set(self.targets) & {'onnxruntime', 'openvino'}:
            pairs.append(('onnxruntime', 'int8'))
        for name in self.targets:
            known = Target.read(name).software.precisions
            pairs += [(name, p) for p in self.precisions if p in known] or [(name, self.precisions[0])]
        found = [Target(*pair, threads=self.threads) for pair in dict.fromkeys(pairs)]
        for target in found:
            target.software(target)  # refuses what is not installed
        return found


def write_folder(
    subnet: str | Path,
    options: FolderOptions,
    cfg: Config | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Path:
    """Writes ``deploy/`` beside a network: a file for each target, ``README.md`` (a model card), ``deploy.json``.

    What is there of the same weights and size is kept; what an interruption left out is made.

    Args:
        subnet: Folder of a network: ``config.py`` with ``retrained.pth`` or ``weights.pth``.
        options: What to write.
        cfg: In place of ``config.py``, for another folder of data.
        tell: Called with a line for each thing that was made.

    Returns:
        The README.

    Raises:
        FileNotFoundError: If there is no config, or are no weights.
        ValueError: If the network cannot be exported or converted (the layer is named), or there are no images to
            calibrate on.
        MissingPackage: If a runtime is not installed.
    """
    subnet, wanted = Path(subnet), options.wanted()
    weights = weights_of(subnet)
    cfg = cfg or read_config(subnet / 'config.py')
    use_scope(cfg)
    folder = subnet / 'deploy'
    folder.mkdir(exist_ok=True)
    notes = _begin(folder, weights, options)
    files: dict[str, dict[str, Any]] = notes['files']
    for target in wanted:
        name = 'model' + ('' if target.precision == 'fp32' else f'.{target.precision}') + SUFFIXES[target.runtime]
        if str(target) in files and (folder / name).is_file():
            continue
        description = _make(target, folder / name, subnet / weights, cfg, options)
        megabytes = sum(path.stat().st_size for path in _parts(folder / name)) / 1e6
        files[str(target)] = dict(
            file=name, target=target.to_dict(), megabytes=megabytes, description=description.to_json()
        )
        write_json(folder / NOTES, notes)
        tell(f'{folder / name}: written from {weights}')
    _find_harm(folder, notes, subnet / weights, cfg)
    _score(folder, notes, cfg, options.val_images, tell)
    _measure(folder, notes, options, tell)
    return write_card(folder, notes, _dataset_name(cfg))


def weights_of(subnet: Path) -> str:
    """The file of a network's better weights.

    Raises:
        FileNotFoundError: If there are none.
    """
    there = [name for name in WEIGHTS if (subnet / name).is_file()]
    if not there:
        raise NoSuchFile(
            f'{subnet}: neither {" nor ".join(WEIGHTS)}; give the folder of a network that has weights, e.g. '
            'WORK_DIR/search/subnets/ARCHID after tools/retrain.py'
        )
    results = read_json(subnet / 'results.json')
    better = better_weights(results, main_metric(results.get('retrained') or {}))
    return better if better in there else there[0]


def main_metric(metrics: dict[str, float]) -> str:
    """``'PQ'`` of panoptic networks, else ``'mIoU'``."""
    return 'PQ' if any(name.split('/')[-1] == 'PQ' for name in metrics) else 'mIoU'


def net_of(folder: Path, entry: dict[str, Any]) -> RuntimeNet:
    """A file of ``deploy.json``, opened in its runtime."""
    path, target = folder / entry['file'], Target.read(entry['target'])
    description = NetDescription.from_metadata({KEY: entry['description']}, path)
    return RuntimeNet(path, target.runtime, description, target.threads)


def _begin(folder: Path, weights: str, options: FolderOptions) -> dict[str, Any]:
    """The notes that are there, or, where these are of something else, a new beginning."""
    sha1 = hashlib.sha1((folder.parent / weights).read_bytes()).hexdigest()
    network = folder.parent.resolve().name
    identity: dict[str, Any] = dict(format=FORMAT, network=network, weights=weights, weights_sha1=sha1)
    identity['input_hw'] = list(options.input_hw)
    own = folder.parent / TRAINED_ON  # of what 8-bit files are made where it is there
    identity['int8_weights_sha1'] = hashlib.sha1(own.read_bytes()).hexdigest() if own.is_file() else None
    notes = read_json(folder / NOTES)
    if any(notes.get(key) != value for key, value in identity.items()):
        for entry in notes.get('files', {}).values():
            for path in _parts(folder / entry['file']):
                path.unlink(missing_ok=True)
        notes = dict(identity, files={}, latency={})
        write_json(folder / NOTES, notes)
    notes['files'] = {key: entry for key, entry in notes['files'].items() if (folder / entry['file']).is_file()}
    return notes


def _parts(path: Path) -> list[Path]:
    """A runtime's file, with the one of its weights."""
    return [path] if path.suffix == '.onnx' else [path, path.with_suffix('.bin')]


def _make(target: Target, path: Path, weights: Path, cfg: Config, options: FolderOptions) -> NetDescription:
    """Writes a file; returns its interface."""
    source = path.with_suffix('.onnx')  # model.onnx or model.int8.onnx
    if target.runtime == 'ncnn':
        return _write_ncnn(target, path, weights, cfg, options)
    if target.runtime == 'openvino':
        import openvino

        openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=False)
    elif target.precision == 'int8':
        float_file = path.with_name('model.onnx')
        description = OnnxNet(float_file).description
        images = spread_images(open_dataset(cfg, 'train', pipeline_of='val'), options.calibration, description)
        if (own := weights.with_name(TRAINED_ON)).is_file():
            with tempfile.TemporaryDirectory() as place:
                quantize(export_onnx(cfg, own, Path(place, 'model.onnx'), options.input_hw, FILE).path, path, images)
        else:
            quantize(float_file, path, images)
    else:
        return export_onnx(cfg, weights, path, options.input_hw, FILE).description
    return OnnxNet(source).description


def _write_ncnn(target: Target, path: Path, weights: Path, cfg: Config, options: FolderOptions) -> NetDescription:
    with tempfile.TemporaryDirectory() as place:
        result = export_onnx(cfg, weights, Path(place, 'model.onnx'), options.input_hw, RAW)
        if result.description.task == 'panoptic':
            raise BadValue('target ncnn: panoptic networks are not converted for it; use onnxruntime or openvino')
        Ncnn(target).convert(result.path, (1, 3, *options.input_hw), path)
    return result.description


def _find_harm(folder: Path, notes: dict[str, Any], weights: Path, cfg: Config) -> None:
    """Notes what 8 bits change, and how much less where one of the network's parts stays float32."""
    entry = notes['files'].get(INT8)
    if entry is None or 'changed_pixels' in entry:
        return
    own = weights.with_name(TRAINED_ON)
    network = load_network(cfg, own if own.is_file() else weights)
    entry['changed_pixels'] = changed_pixels(network, list(calibration_images(cfg, HARM_IMAGES)))
    write_json(folder / NOTES, notes)


def _score(folder: Path, notes: dict[str, Any], cfg: Config, images: int | None, tell: Callable[[str], object]) -> None:
    """Scores the files that are not scored on these images."""
    for key, entry in notes['files'].items():
        if entry.get('metrics') and entry.get('val_images') == images:
            continue
        try:
            open_dataset(cfg, 'val')
        except ValueError as error:
            notes['why_no_score'] = str(error)
            tell(f'not scored: {error}')
            return
        notes.pop('why_no_score', None)
        entry.update(metrics=score(net_of(folder, entry), cfg, images), val_images=images)
        write_json(folder / NOTES, notes)
        name = main_metric(entry['metrics'])
        tell(f'{folder / entry["file"]}: {name} {entry["metrics"][name]:.2f} in {key}')


def _measure(folder: Path, notes: dict[str, Any], options: FolderOptions, tell: Callable[[str], object]) -> None:
    """Times all files in one interleaved run, unless just these are timed."""
    there = notes['latency']
    settings = dict(threads=options.threads, rounds=options.rounds, files=sorted(notes['files']))
    if all(there.get(key) == value for key, value in settings.items()):
        return
    rng, opens = np.random.default_rng(0), {}
    image = rng.integers(0, 256, (*notes['input_hw'], 3), dtype=np.uint8)
    for key, entry in notes['files'].items():
        entry['target']['threads'] = options.threads
        opens[key] = partial(_timed, folder, entry, image)
    found: on_device.Rounds = {}
    clock = on_device.clock_for(options.threads)
    with alone():
        for line in on_device.measure(opens, found, clock, options.rounds, options.seconds):
            if line:
                tell(line)
    warnings = on_device.warnings_about(found)
    software: dict[str, str] = dict(python=platform.python_version())
    for key, entry in notes['files'].items():
        software |= Target.read(entry['target']).software.versions()
        entry['latency_ms'] = on_device.quietest(found[key])
    notes['latency'] = settings | dict(
        clock=clock, device=on_device.device_name(), software=software, rounds_ms=found, warnings=warnings
    )
    notes['latency']['date'] = datetime.date.today().isoformat()
    write_json(folder / NOTES, notes)
    for line in warnings:
        tell(f'warning: {line}')


def _timed(folder: Path, entry: dict[str, Any], image: Any) -> on_device.Call:
    net = net_of(folder, entry)
    return partial(net.call, net.prepare(image))


def _dataset_name(cfg: Config) -> str:
    """As reports call the data; without a name that of its folder, as a data set's class is often lent by another."""
    if name := cfg.get('dataset_name'):
        return str(name)
    settings: Mapping[str, Any] = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    return Path(str(settings.get('data_root') or settings.get('type') or 'unknown')).name
