"""The README of a network that ships: a model card as Hugging Face reads it, and how to run the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyctas_mm.costs.targets import on_device
from hyctas_mm.deploy.description import KEY, NetDescription

_METRICS = dict(mIoU='mean_iou', PQ='panoptic_quality')
_PYTHON = """\
import cv2, onnxruntime
image = cv2.resize(cv2.imread('image.png'), ({width}, {height}))[None]  # uint8 (1, {height}, {width}, 3), BGR
session = onnxruntime.InferenceSession('model.onnx', providers=['CPUExecutionProvider']){smaller}
{names} = session.run(None, dict(image=image))
"""
_CPP = """\
#include <onnxruntime_cxx_api.h>
#include <vector>

int main() {{
  std::vector<uint8_t> pixels({height} * {width} * 3);  // to be filled: rows from the top, each pixel B, G, R
  const int64_t shape[] = {{1, {height}, {width}, 3}};
  const char *inputs[] = {{"image"}}, *outputs[] = {{{names}}};

  Ort::Env env;
  Ort::Session session(env, "model.onnx", Ort::SessionOptions());
  auto cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto image = Ort::Value::CreateTensor<uint8_t>(cpu, pixels.data(), pixels.size(), shape, 4);
  auto found = session.Run(Ort::RunOptions(), inputs, &image, 1, outputs, {count});
  const int32_t *classes = found[0].GetTensorData<int32_t>();  // {height} x {width}
  return classes[0] < 0;
}}
"""
_SHAPES = dict(
    classes='int32 (1, {0}, {1}): the class of each pixel',
    peaks="float32 (1, 1, {0}, {1}): the heatmap where it has an instance's centre, 0 elsewhere",
    offset='float32 (1, 2, {0}, {1}): from each pixel to the centre of its instance, (down, right) in pixels',
    logits='float32 ({2}, {0}, {1}): the class of a pixel is that of the largest',
)


def write_card(folder: Path, notes: Mapping[str, Any], dataset: str) -> Path:
    """Writes ``README.md``.

    Args:
        folder: Where the files are.
        notes: Content of ``deploy.json``.
        dataset: Name of the data that the network was trained on.

    Returns:
        The file.
    """
    entries: dict[str, dict[str, Any]] = notes['files']
    descriptions = {
        key: NetDescription.from_metadata({KEY: entry['description']}, entry['file']) for key, entry in entries.items()
    }
    net = descriptions['onnxruntime']
    height, width = net.input_hw
    size = dict(height=height, width=width)
    smaller = "  # or 'model.int8.onnx'" if 'onnxruntime int8' in entries else ''
    parts = [
        _front_matter(notes, net, dataset),
        f'# {notes["network"]}\n',
        f'A network for {net.task} segmentation of images into {len(net.classes)} classes, trained on {dataset}; '
        f'found by architecture search with hyctas_mm. The files are made from `{notes["weights"]}`.\n',
        '## Run it\n\nPython, with `pip install onnxruntime opencv-python`:\n',
        _code('python', _PYTHON.format(names=_targets(net.output_names), smaller=smaller, **size)),
        'C++, with ONNX Runtime:\n',
        _code('cpp', _CPP.format(names=_quoted(net.output_names), count=len(net.output_names), **size)),
        *_elsewhere(descriptions, entries),
        '## Input and output\n',
        _interface(net, 'Every `.onnx` and `.xml` file'),
        *[_interface(description, '`model.ncnn.param`') for key, description in descriptions.items() if key == 'ncnn'],
        _instances(net),
        '## Classes\n',
        ', '.join(f'{number} {name}' for number, name in enumerate(net.classes)) + '\n',
        '## Accuracy and latency\n',
        _table(notes, entries),
        _conditions(notes),
    ]
    path = folder / 'README.md'
    path.write_text('\n'.join(part for part in parts if part), encoding='utf-8')
    return path


def _front_matter(notes: Mapping[str, Any], net: NetDescription, dataset: str) -> str:
    """YAML; each value is JSON, which YAML reads."""
    metrics = notes['files']['onnxruntime'].get('metrics') or {}
    values = [
        dict(type=kind, name=name, value=round(metrics[name], 2)) for name, kind in _METRICS.items() if name in metrics
    ]
    fields: dict[str, Any] = dict(
        license='other',
        library_name='onnx',
        pipeline_tag='image-segmentation',
        tags=[f'{net.task}-segmentation', 'onnx', 'hyctas', 'neural-architecture-search'],
        datasets=[dataset],
        metrics=[value['type'] for value in values] or [_METRICS['PQ' if net.task == 'panoptic' else 'mIoU']],
    )
    if values:
        task = dict(type='image-segmentation', name=f'{net.task} segmentation')
        result = dict(task=task, dataset=dict(type=dataset, name=dataset, split='validation'), metrics=values)
        fields['model-index'] = [dict(name=notes['network'], results=[result])]
    lines = [f'{key}: {json.dumps(value, ensure_ascii=False)}' for key, value in fields.items()]
    lines[0] += '  # a placeholder: choose one that the images allow before you publish this'
    return '\n'.join(['---', *lines, '---', ''])


def _code(language: str, text: str) -> str:
    return f'```{language}\n{text}```\n'


def _targets(names: tuple[str, ...]) -> str:
    """What Python unpacks a list of so many outputs to."""
    return f'[{names[0]}]' if len(names) == 1 else ', '.join(names)


def _quoted(names: tuple[str, ...]) -> str:
    return ', '.join(f'"{name}"' for name in names)


def _elsewhere(descriptions: Mapping[str, NetDescription], entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How the files for other runtimes are opened; ``image`` is that of the lines above."""
    out = []
    files = [entry['file'] for key, entry in entries.items() if key.startswith('openvino')]
    if files:
        others = ''.join(f'  # or {name}' for name in files[1:])
        line = f"net = openvino.compile_model('{files[0]}', 'CPU', dict(INFERENCE_PRECISION_HINT='f32')){others}"
        names = ', '.join(f"found['{name}']" for name in descriptions['onnxruntime'].output_names)
        unpacked = ', '.join(descriptions['onnxruntime'].output_names)
        out = [
            'OpenVINO, with `image` from above:\n',
            _code('python', f'import openvino\n{line}\nfound = net(image)\n{unpacked} = {names}\n'),
            'Without the hint OpenVINO computes in bfloat16 where the CPU has it: quicker, and not what was scored.\n',
        ]
    if net := descriptions.get('ncnn'):
        order = '::-1' if net.channel_order == 'rgb' else ':'
        out += [
            'ncnn, with `image` from above:\n',
            _code(
                'python',
                'import ncnn, numpy\n'
                'net = ncnn.Net()\n'
                "net.load_param('model.ncnn.param'), net.load_model('model.ncnn.bin')\n"
                f'x = (image[0, ..., {order}] - numpy.float32({list(net.mean)})) / numpy.float32({list(net.std)})\n'
                'x = numpy.ascontiguousarray(x.transpose(2, 0, 1))  # must live on: ncnn.Mat does not copy it\n'
                'extractor = net.create_extractor()\n'
                'extractor.input(net.input_names()[0], ncnn.Mat(x))\n'
                'classes = numpy.array(extractor.extract(net.output_names()[0])[1]).argmax(0)\n',
            ),
        ]
    return out


def _interface(net: NetDescription, files: str) -> str:
    height, width = net.input_hw
    order = net.channel_order.upper()
    if net.preprocessing:
        given = f'uint8 (1, {height}, {width}, 3), {order}, 0 to 255. Normalising is inside.'
    else:
        mean, std = (', '.join(f'{value:g}' for value in values) for values in (net.mean, net.std))
        given = f'float32 (3, {height}, {width}), {order}, (pixel - mean) / std with mean {mean} and std {std}.'
    count = 1 if net.binary_threshold is not None else len(net.classes)
    shapes = [f'- `{name}`: {_SHAPES[name].format(height, width, count)}\n' for name in net.output_names]
    lead = f'{files} takes one image of {height} x {width} pixels (height x width); resize others to it.\n\n'
    return f'{lead}- `image`: {given}\n{"".join(shapes)}'


def _instances(net: NetDescription) -> str:
    if net.task != 'panoptic':
        return ''
    return (
        'Pixels are grouped into instances outside of the file: `tools/run_onnx.py` of hyctas_mm does it in one '
        'function of numpy and OpenCV.\n'
    )


def _table(notes: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> str:
    rounds = notes['latency'].get('rounds_ms', {})
    names = dict.fromkeys(
        name for entry in entries.values() for name in _METRICS if name in (entry.get('metrics') or {})
    )
    head = ['file', 'runtime', 'MB', *names, 'ms', 'ms by round']
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    for key, entry in entries.items():
        metrics, times = entry.get('metrics') or {}, rounds.get(key, [])
        cells = [f'`{entry["file"]}`', key, f'{entry["megabytes"]:.1f}']
        cells += [f'{metrics[name]:.2f}' if name in metrics else '' for name in names]
        cells += [f'{on_device.quietest(times):.2f}' if times else '', ', '.join(f'{time:.2f}' for time in times)]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _conditions(notes: Mapping[str, Any]) -> str:
    """What the table holds for."""
    told, latency = [], notes['latency']
    counts = {entry.get('val_images') for entry in notes['files'].values() if entry.get('metrics')}
    if notes.get('why_no_score'):
        told.append('Not scored: there were no validation images.')  # the reason has paths of a machine
    elif counts:
        images = ' or '.join('all' if count is None else str(count) for count in counts)
        told.append(
            f'Scored in its runtime on {images} validation images, resized to the size above where theirs differs.'
        )
    if changed := (notes['files'].get('onnxruntime int8') or {}).get('changed_pixels'):
        parts = ', '.join(f'{part} {100 * share:.1f}' for part, share in changed.items() if part != 'all')
        told.append(
            f'8 bits change the class of {100 * changed["all"]:.1f} % of the pixels of training images; with one part '
            f'left in float32: {parts}.'
        )
    if notes.get('int8_weights_sha1'):
        told.append('Files in 8 bits are made from `int8.pth`, weights that were trained on in 8 bits.')
    if latency:
        clock = 'processor time' if latency['clock'] == 'cpu' else 'time that passes'
        software = ', '.join(f'{name} {version}' for name, version in latency['software'].items())
        told.append(
            f'Latency: mean of the two quietest rounds; all files measured in turn, {clock}, {latency["threads"]} '
            f'thread(s) of {latency["device"]}, {software}, {latency["date"]}.'
        )
        if 'ncnn' in notes['files']:
            told.append("ncnn's is without normalising and without choosing each pixel's class.")
        told += [f'Warning: {line}.' for line in latency['warnings']]
    return ' '.join(told) + '\n'
