"""Segments an image with an exported network: needs numpy, opencv-python and onnxruntime, nothing else.

See docs/deployment.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import onnxruntime


def main(model: str, source: str, target: str) -> None:
    if not Path(model).is_file():
        refuse(f'no ONNX file {model}; write one with tools/export_onnx.py')
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    metadata = session.get_modelmeta().custom_metadata_map
    if 'hyctas_mm' not in metadata:
        refuse(f'{model}: no metadata hyctas_mm; expected a file of tools/export_onnx.py')
    net = json.loads(metadata['hyctas_mm'])
    image = cv2.imread(source)
    if image is None:
        refuse(f'{source} is no image that OpenCV reads; give a PNG or JPEG file')
    height, width = image.shape[:2]
    any_size, least = 'size' in net['dynamic'], net['smallest']
    pads_to_one = net['multiple'] > 1 and not any_size
    down, right = -height % net['multiple'], -width % net['multiple']  # to pad; 0 where the file pads by itself
    if pads_to_one:
        down, right = net['input_hw'][0] - height, net['input_hw'][1] - width
    size = [height + down, width + right]
    if min(down, right) < 0 or (min(size) < least if any_size else size != net['input_hw']):
        accepted = f'from {least} x {least} up' if any_size else '{} x {}'.format(*net['input_hw'])
        accepted = f'up to {accepted}' if pads_to_one else accepted if any_size else f'{accepted} only'
        refuse(
            f'{source} has {height} x {width} pixels; {model} takes {accepted}: resize the image, or export with '
            '--dynamic size'
        )
    x = image[..., ::-1] if net['channel_order'] == 'rgb' else image
    if not net['preprocessing']:
        x = np.pad((x - np.float32(net['mean'])) / np.float32(net['std']), ((0, down), (0, right), (0, 0)))
    x = np.ascontiguousarray(x.transpose(2, 0, 1)[None] if net['layout'] == 'nchw' else x[None])
    names = [output.name for output in session.get_outputs()]
    maps = {name: y[0, ..., :height, :width] for name, y in zip(names, session.run(None, {'image': x}), strict=True)}
    labels, instances = classes_of(maps, net), np.zeros((height, width), np.int64)
    if net['task'] == 'panoptic':
        labels, instances = group(labels, maps, net['grouping'], len(net['palette']))
        print(f'{instances.max()} instances')
    shade = np.where(instances > 0, 0.7 + 0.6 * (instances * 0.618 % 1), 1)[..., None]
    colours = np.uint8([*net['palette'], (0, 0, 0)])[:, ::-1][labels]  # the last is void
    cv2.imwrite(target, cv2.addWeighted(image, 0.35, np.clip(colours * shade, 0, 255).astype(np.uint8), 0.65, 0))
    for label, name in enumerate(net['classes']):
        print(f'{name}: {(labels == label).mean():.1%}')


def refuse(message: str) -> NoReturn:
    """Ends as the other tools do."""
    print(f'error: {message}', file=sys.stderr)
    sys.exit(2)


def classes_of(maps: dict, net: dict) -> np.ndarray:
    """Classes (H, W), whichever of the outputs the file has."""
    if 'classes' in maps:
        return maps['classes'].astype(np.int64)
    scores, threshold = (
        next(maps[name] for name in ('logits', 'probabilities') if name in maps),
        net['binary_threshold'],
    )
    if threshold is None:
        return scores.argmax(0)
    return (scores[0] > (threshold if 'probabilities' in maps else np.log(threshold / (1 - threshold)))).astype(
        np.int64
    )


def group(labels: np.ndarray, maps: dict, rule: dict, void: int) -> tuple:
    """Classes and instance numbers (H, W): pixels of things go to the centre nearest to where their offset points
    (Panoptic-DeepLab).
    """
    if 'peaks' in maps:
        peaks = maps['peaks'][0]
    else:
        heat = maps['center'][0]
        share = rule.get('of_highest')
        least = rule['threshold'] if share is None else min(rule['threshold'], share * heat.max())
        peaks = np.where(
            (heat > least) & (heat >= cv2.dilate(heat, np.ones((rule['nms_kernel'],) * 2, np.uint8))),
            heat,
            0,
        )
    # touching peaks are one
    _, parts, _, middles = cv2.connectedComponentsWithStats((peaks > 0).astype(np.uint8), connectivity=8)
    heights = np.zeros(len(middles))
    heights[parts.ravel()] = peaks.ravel()
    order = np.argsort(-heights[1:], kind='stable')[: rule['top_k']]
    centers = middles[1:][order, ::-1].astype(np.float32)  # (N, 2), row and column
    areas = np.bincount(labels.ravel(), minlength=void)
    scale = 1 if rule['stuff_area_hw'] is None else labels.size / np.prod(rule['stuff_area_hw'])
    small = [c for c in range(rule['num_things'], void) if areas[c] < rule['stuff_area'] * scale]
    rows, columns = np.nonzero(labels < rule['num_things'])
    labels, instances = np.where(np.isin(labels, small), void, labels), np.zeros_like(labels)
    if not len(centers):
        labels[rows, columns] = void
    # little memory at a time
    for some in np.array_split(np.arange(len(rows)), len(rows) // 4096 + 1) if len(centers) else []:
        target = np.stack([rows[some], columns[some]], 1) + maps['offset'][:, rows[some], columns[some]].T  # (P, 2)
        instances[rows[some], columns[some]] = 1 + ((target[:, None] - centers) ** 2).sum(2).argmin(1)
    # a centre no pixel points to is no instance
    for number, center in enumerate(np.unique(instances[instances > 0]), start=1):
        mine = instances == center
        instances[mine] = number
        labels[mine] = np.bincount(labels[mine]).argmax()  # an instance takes the class most of its pixels have
    return labels, instances


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='file of tools/export_onnx.py or tools/quantize_onnx.py')
    parser.add_argument('image', help='image to segment')
    parser.add_argument('out', help='picture to write')
    arguments = parser.parse_args()
    main(arguments.model, arguments.image, arguments.out)
