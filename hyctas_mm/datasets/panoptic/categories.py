"""From the categories of a COCO-panoptic JSON to contiguous labels, things first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hyctas_mm.errors import BadValue

Category = Mapping[str, Any]


def _check_distinct(categories: Sequence[Category], source: str) -> None:
    for key in ('id', 'name'):
        twice = [value for value, count in Counter(category[key] for category in categories).items() if count > 1]
        if twice:
            raise BadValue(f'{source}: categories share the {key} {twice[:8]}; give every category its own')


def _missing(names: Sequence[str], categories: Sequence[Category]) -> str:
    known = set(names)
    return ', '.join(
        f'{category["id"]} ({category["name"]!r})' for category in categories if category['name'] not in known
    )


def complete_metainfo(metainfo: Mapping[str, Any], categories: Sequence[Category], source: str) -> dict[str, Any]:
    """Adds what ``metainfo`` lacks from the categories, and checks that both agree.

    Labels are contiguous, things before stuff, in the JSON's order within each: grouping by centres needs
    ``label < number of things`` to tell the two apart.

    Args:
        metainfo: mmengine's metainfo; may be empty, or hold ``classes`` without ``thing_classes``.
        categories: The JSON's categories with ``id``, ``name`` and ``isthing``, and perhaps ``color``.
        source: The file's name, for messages.

    Returns:
        Metainfo with ``classes``, ``thing_classes``, ``stuff_classes``, and ``palette`` where there are colours.

    Raises:
        ValueError: If categories are absent from ``classes``, a thing is stuff or the other way round, or things do not
            come first.
    """
    _check_distinct(categories, source)
    things = [category['name'] for category in categories if category['isthing']]
    ordered = (*things, *(category['name'] for category in categories if not category['isthing']))
    classes = tuple(metainfo.get('classes', ordered))
    unknown = _missing(classes, categories)
    if unknown:
        raise BadValue(
            f"{source}: category ids {unknown} are absent from metainfo['classes'] ({len(classes)} names); name "
            'them there, '
            'or leave metainfo out to take the classes from the file'
        )
    thing_classes = tuple(metainfo.get('thing_classes', (name for name in classes if name in things)))
    stuff_classes = classes[len(thing_classes) :]
    if classes[: len(thing_classes)] != thing_classes:
        raise BadValue(f"metainfo['classes'] begins with {classes[:8]}; expected all things first: {thing_classes[:8]}")
    swapped = [
        category['name'] for category in categories if bool(category['isthing']) != (category['name'] in thing_classes)
    ]
    if swapped:
        raise BadValue(
            f"{source}: 'isthing' of {swapped[:8]} contradicts metainfo['thing_classes']; one of them is wrong"
        )
    colours = {category['name']: tuple(category['color']) for category in categories if 'color' in category}
    palette = metainfo.get('palette') or [colours[name] for name in classes if name in colours]
    complete = dict(metainfo, classes=classes, thing_classes=thing_classes, stuff_classes=stuff_classes)
    return dict(complete, palette=palette) if len(palette) >= len(classes) else complete


def labels_by_category(classes: Sequence[str], categories: Sequence[Category]) -> dict[int, int]:
    """Label of each category id, by name: mmdet goes by the order in the file, which need not be that of the
    classes.
    """
    label_of_name = {name: label for label, name in enumerate(classes)}
    return {category['id']: label_of_name[category['name']] for category in categories}
