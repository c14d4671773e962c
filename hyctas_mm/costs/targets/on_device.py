"""Measures networks from files, in rounds that visit all of them in turn. Needs Python 3.9, numpy and the runtime only.

A kit (tools/target_kit.py) carries this file as ``measure.py``. On the device:

    python measure.py            # writes measured.json; started again after an interruption, it goes on

Then bring measured.json back, and there: python tools/target_kit.py fit kit.zip measured.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]
Rounds = dict[str, list[float]]
"""For each network the median of each round in milliseconds."""

FORMAT = 'hyctas_mm/measured-1'
AGREE = 0.05
"""A network is settled when its two quietest rounds differ by at most this fraction."""
STEADY = 0.2
"""A device whose rounds differ by more than this as a whole throttles, or has other work."""


# Files as calls -------------------------------------------------------------------------------------------------------


def open_onnxruntime(path: str | Path, shape: Sequence[int], threads: int) -> Call:
    """An ONNX file in ONNX Runtime on the CPU; gives a list of outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    image = blank(shape)
    return lambda image=image: session.run(None, {'image': image})  # type: ignore[misc]


def open_openvino(path: str | Path, shape: Sequence[int], threads: int) -> Call:
    """An ONNX file in OpenVINO on the CPU, floats in 32 bits also where it would take 16; gives a list of outputs."""
    import openvino

    settings = dict(INFERENCE_NUM_THREADS=threads, NUM_STREAMS=1, INFERENCE_PRECISION_HINT='f32')
    request = openvino.Core().compile_model(str(path), 'CPU', settings).create_infer_request()
    first = blank(shape)

    def call(image: Any = first) -> Any:
        return list(request.infer([image], share_inputs=True, share_outputs=True).values())

    return call


def open_ncnn(path: str | Path, shape: Sequence[int], threads: int) -> Call:
    """A .param file with its .bin in ncnn on the CPU, in 32 bits; gives a list of outputs (C, H, W).

    Raises:
        RuntimeError: If ncnn cannot load it.
    """
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = net.opt.use_bf16_storage = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(path)) or net.load_model(str(Path(path).with_suffix('.bin'))):
        raise RuntimeError('ncnn cannot load ' + str(path))
    names = list(net.output_names())
    first = blank(shape)

    def call(image: Any = first) -> Any:
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(image[0]))
        return [np.array(extractor.extract(name)[1]) for name in names]

    return call


OPENERS: Mapping[str, Callable[..., Call]] = dict(onnxruntime=open_onnxruntime, openvino=open_openvino, ncnn=open_ncnn)


def blank(shape: Sequence[int]) -> Any:
    """An image of noise, float32."""
    return np.random.default_rng(0).random(tuple(shape), dtype=np.float32)


# Rounds ---------------------------------------------------------------------------------------------------------------


def clock_for(threads: int, device: str = 'cpu') -> str:
    """``'cpu'``, processor time, which other work on the machine does not lengthen, for one thread; else ``'wall'``."""
    fine = time.get_clock_info('process_time').resolution < 1e-5
    return 'cpu' if threads == 1 and device == 'cpu' and fine else 'wall'


def median_ms(call: Call, clock: str, seconds: float) -> float:
    """Median of a call in milliseconds: two to warm up, then five or more for ``seconds``."""
    now = time.process_time if clock == 'cpu' else time.perf_counter
    call()
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = now()
        call()
        times.append(now() - start)
    return statistics.median(times) * 1e3


def measure(
    opens: Mapping[str, Callable[[], Call]], found: Rounds, clock: str, rounds: int = 2, seconds: float = 0.3
) -> Iterator[str]:
    """Measures networks in turn, and those whose rounds differ again, up to as many rounds once more.

    Args:
        opens: For each network what makes it a call.
        found: What is known already, changed in place: an interrupted measurement goes on.
        clock: ``'cpu'`` or ``'wall'``.
        rounds: Rounds that visit all networks.
        seconds: Time for a network in a round.

    Yields:
        After each visit what to tell, mostly nothing.
    """
    for number in range(2 * rounds):
        for name in opens:
            found.setdefault(name, [])
        due = [name for name in opens if len(found[name]) <= number]
        if number >= rounds:
            unsettled = sum(not settled(times) for times in found.values())
            due = [name for name in due if not settled(found[name])]
            if due:
                yield f'{unsettled} networks differ between rounds (the machine is busy): measured again'
        for place, name in enumerate(due):
            found[name].append(median_ms(opens[name](), clock, seconds))
            yield '' if (place + 1) % 20 else f'round {number + 1}: {place + 1} of {len(due)} networks'


def settled(times: Sequence[float]) -> bool:
    """Whether the two quietest rounds agree."""
    two = sorted(times)[:2]
    return len(two) == 2 and two[1] <= (1 + AGREE) * two[0]


def quietest(times: Sequence[float]) -> float:
    """What counts: the mean of the two quietest rounds."""
    return statistics.fmean(sorted(times)[:2])


def round_spread(found: Rounds) -> float:
    """By what fraction the slowest round of all networks is slower than the quickest: 0.25 for a quarter."""
    whole = min(map(len, found.values()))
    factors = [statistics.median(times[n] / quietest(times) for times in found.values()) for n in range(whole)]
    return max(factors) / min(factors) - 1


def warnings_about(found: Rounds) -> list[str]:
    """What a person must know before the numbers are trusted."""
    told = []
    loose = [name for name, times in found.items() if not settled(times)]
    if loose:
        named = ', '.join(loose[:5]) + ', ...' * (len(loose) > 5)
        told.append(f'{len(loose)} of {len(found)} networks never gave the same time twice within {AGREE:.0%}: {named}')
    spread = round_spread(found)
    if spread > STEADY:
        told.append(
            f'whole rounds differ by {spread:.0%}: the device throttles or has other work; let it cool and rest, '
            'and measure again'
        )
    return told


def device_name() -> str:
    """The device in words."""
    for path, key in (('/proc/device-tree/model', ''), ('/proc/cpuinfo', 'model name')):
        if os.path.exists(path):
            lines = Path(path).read_text(encoding='utf-8', errors='replace').strip('\0').splitlines()
            line = next((line for line in lines if line.startswith(key)), '')
            if line:
                return line.split(':', 1)[-1].strip()
    return platform.processor() or platform.machine()


# The kit --------------------------------------------------------------------------------------------------------------


def read_measured(path: Path, kit: Mapping[str, Any]) -> dict[str, Any]:
    """What an interrupted measurement left, or a beginning."""
    fresh = dict(format=FORMAT, kit=kit['identity'], target=kit['target'], device=device_name(), rounds_ms={})
    if not path.exists():
        return fresh
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    differing = [key for key in ('format', 'kit', 'target', 'device') if content.get(key) != fresh[key]]
    if differing:
        sys.exit(f'error: {path} is of another kit or device ({", ".join(differing)} differ); move it away')
    return content


def main() -> None:
    """Measures the networks beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('measured.json'), help='default: measured.json')
    parser.add_argument('--rounds', type=int, default=2, help='rounds that visit all networks (default: 2)')
    parser.add_argument('--seconds', type=float, default=0.3, help='time for a network in a round (default: 0.3)')
    args = parser.parse_args()
    folder = Path(__file__).resolve().parent
    kit = json.loads((folder / 'kit.json').read_text(encoding='utf-8'))
    target = kit['target']
    try:
        __import__(target['runtime'])
    except ImportError:
        sys.exit(f'error: {target["runtime"]} is not installed; pip install {target["runtime"]}')
    measured = read_measured(args.out, kit)
    clock = clock_for(target['threads'])
    version = getattr(sys.modules[target['runtime']], '__version__', '')
    measured.update(clock=clock, software={target['runtime']: version, 'python': platform.python_version()})
    opener = OPENERS[target['runtime']]
    opens = {
        name: lambda file=file: opener(folder / file, kit['input_shape'], target['threads'])
        for name, file in kit['files'].items()
    }
    for told in measure(opens, measured['rounds_ms'], clock, args.rounds, args.seconds):
        temporary = args.out.with_suffix('.tmp')
        temporary.write_text(json.dumps(measured, indent=1), encoding='utf-8')
        os.replace(temporary, args.out)
        if told:
            print(told, flush=True)
    for told in warnings_about(measured['rounds_ms']):
        print('warning: ' + told)
    print(f'{args.out}: {len(opens)} networks on {measured["device"]}')


if __name__ == '__main__':
    main()
