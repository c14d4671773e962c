"""Latency tables of devices elsewhere: a kit of files goes there, measurements come back."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hyctas_mm.archs import Handover, SearchSpace
from hyctas_mm.costs import FitCheck, FittedTable, Sample, Target
from hyctas_mm.costs.latency_table import materialise
from hyctas_mm.costs.targets import FileRuntime, on_device
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.kit_script import script_of
from hyctas_mm.engine.target_table import Say, choose_networks, shipped
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.files import read_json

FORMAT = 'hyctas_mm/kit-1'
README = """On the device, in a folder of its own:

    pip install numpy {packages}
    python -m zipfile -e kit.zip kit      # or unzip
    python kit/measure.py                 # writes measured.json; started again, it goes on

Nothing else should run meanwhile. Bring measured.json back, and there:

    python tools/target_kit.py fit kit.zip measured.json --out table.json
"""
README_SHELL = """Without Python, with ncnn's benchncnn or TensorRT's trtexec on PATH:

    unzip kit.zip -d kit
    sh kit/run.sh                         # writes kit/measured.json; started again, it goes on

Nothing else should run meanwhile. Bring measured.json back, and there:

    python tools/target_kit.py fit kit.zip measured.json --out table.json
"""


def make_kit(
    model_cfg: Mapping[str, Any],
    space: SearchSpace,
    target: Target,
    input_hw: tuple[int, int],
    out: Path,
    networks: int = 80,
    handover: Handover | None = None,
    say: Say = print,
) -> None:
    """Writes the files of networks of a space, what measures them, and what is needed to make a table of it.

    Args:
        model_cfg: The supernet's model config.
        space: The search space.
        target: What they are measured in; its runtime need not be installed here.
        input_hw: Height and width of the input.
        out: Zip file to write.
        networks: How many, those that the table is checked on included.
        handover: How they will be trained; None for networks as they are found.
        say: Tells how far it is.

    Raises:
        ValueError: For a target that reads no files, or a layer that cannot be written, named.
    """
    runtime = target.software(target, elsewhere=True)
    if not isinstance(runtime, FileRuntime):
        known = ', '.join([*on_device.OPENERS, 'tensorrt'])
        raise BadValue(f'a kit for {target}; expected one of {known}, which read files')
    shape = (1, 3, *input_hw)
    handover = handover or Handover(space.base_channels)
    table = FittedTable(out.with_suffix('.unwritten'), target, shape)
    costs = CandidateCosts(model_cfg, shape, table, handover=handover)
    chosen = choose_networks(costs, space, networks)
    x = torch.rand(*shape)
    files = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix('.tmp')
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(temporary, 'w', zipfile.ZIP_DEFLATED) as kit:
        for number, (name, (arch, _)) in enumerate(chosen.items(), start=1):
            path = runtime.write(materialise(shipped(costs, arch), x.device), x, Path(folder), name)
            files[name] = path.name
            for made in Path(folder).iterdir():
                kit.write(made, made.name)
                made.unlink()
            if number % 20 == 0:
                say(f'{number} of {len(chosen)} networks written')
        content = dict(format=FORMAT, target=target.to_dict(), input_shape=list(shape), files=files)
        content |= dict(made_for=handover.of(space))
        asked = json.dumps(content, sort_keys=True)
        content |= dict(identity=hashlib.sha1(asked.encode()).hexdigest()[:12], work=table.work)
        content |= dict(networks={n: dict(parts=costs.parts(a), left_out=out_) for n, (a, out_) in chosen.items()})
        kit.writestr('kit.json', json.dumps(content))
        ways = []
        if target.runtime in on_device.OPENERS:
            kit.write(on_device.__file__, 'measure.py')
            ways.append(README.format(packages=runtime.packages[0]))
        if script := script_of(content):
            kit.writestr('run.sh', script)
            ways.append(README_SHELL)
        kit.writestr('README.txt', '\n\n'.join(ways))
    temporary.replace(out)


def fit_kit(kit: Path, measured: Path, out: Path, say: Say = print) -> FitCheck:
    """Makes the table of what was measured with a kit, and writes it.

    Args:
        kit: The zip file of :func:`make_kit`.
        measured: What came back.
        out: The table's file.
        say: Tells what a person must know of the measurement.

    Raises:
        FileNotFoundError: If one of them is not there.
        ValueError: If they are not, or of another search, or not complete.
    """
    made, found = _read_kit(kit), _read(measured)
    if found.get('format') != on_device.FORMAT:
        raise BadValue(f'{measured}: not what measure.py writes ({on_device.FORMAT}); bring measured.json')
    if found['kit'] != made['identity']:
        raise BadValue(
            f'{measured}: measured with another kit ({found["kit"]}) than {kit} ({made["identity"]}), so for another '
            'search or target; give the kit that it was measured with'
        )
    rounds: dict[str, list[float]] = found['rounds_ms']
    missing = [name for name in made['networks'] if len(rounds.get(name, ())) < 2]
    if missing:
        raise BadValue(
            f'{measured}: {len(missing)} of {len(made["networks"])} networks have less than two rounds; start '
            'measure.py again on the device, it goes on'
        )
    for told in on_device.warnings_about(rounds):
        say(f'warning: {told}')
    # a file that is there is replaced by a table that could be fitted
    fresh = out.with_suffix('.unwritten')
    table = FittedTable(fresh, Target.read(made['target']), made['input_shape'], made['made_for'])
    table.work = dict(made['work'])
    samples = [
        Sample(name, tuple(network['parts']), tuple(rounds[name]), network['left_out'])
        for name, network in made['networks'].items()
    ]
    check = table.fit(samples, {key: found[key] for key in ('device', 'clock', 'software')})
    table.path = out
    table.save()
    return check


def _read_kit(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NoSuchFile(f'{path}: no such kit; make it with tools/target_kit.py make')
    try:
        with zipfile.ZipFile(path) as kit:
            content: dict[str, Any] = json.loads(kit.read('kit.json'))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadValue(f'{path}: not a kit of tools/target_kit.py ({error}); make it again') from None
    if content.get('format') != FORMAT:
        raise BadValue(f'{path}: not a kit of this version ({FORMAT}); make it again')
    return content


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NoSuchFile(f'{path}: no such file; it is what measure.py of the kit writes')
    try:
        return read_json(path)
    except ValueError as error:
        raise BadValue(f'{path}: not a JSON file ({error}); bring it from the device again') from None
