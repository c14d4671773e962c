"""Seeded synthetic street scenes.

A scene is a small metric world seen by a pinhole camera: a (possibly bending) road with pavements, building fronts,
trees, poles, signs, cars, people and riders, painted far to near at twice the asked size. Colours are shared between
classes on purpose, so that shape and context, not colour, tell the classes apart.

World coordinates are metres: ``x`` to the right of the camera, ``y`` up from the ground, ``z`` ahead of the camera.
Colours are RGB in 0..255. Lower-level drawing functions take the canvas they change as their first argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from hyctas_mm.datasets.toy.canvas import (
    BICYCLE,
    BUILDING,
    CAR,
    CIRCLE,
    PERSON,
    POLE,
    RIDER,
    ROAD,
    SIDEWALK,
    SKY,
    SKYLINE_Z,
    TRAFFIC_SIGN,
    VEGETATION,
    Camera,
    Canvas,
    Light,
    Points,
    Street,
    make_light,
    make_street,
)
from hyctas_mm.datasets.toy.objects import (
    draw_bicycle,
    draw_bonnet,
    draw_car,
    draw_ground,
    draw_hedge,
    draw_house,
    draw_lamp,
    draw_person,
    draw_sign,
    draw_sky,
    draw_tree,
    strip,
)
from hyctas_mm.errors import BadType, BadValue

DRAWN_LABEL_IDS = (ROAD, SIDEWALK, BUILDING, POLE, TRAFFIC_SIGN, VEGETATION, SKY, PERSON, RIDER, CAR, BICYCLE)
THING_LABEL_IDS = (PERSON, RIDER, CAR, BICYCLE)
MIN_SIDE = 32

_OVERSAMPLING = 2
# Texture strength per labelId as (fine, middle, coarse) noise; the built surfaces are kept alike.
_TEXTURE = np.full((256, 3), (0.05, 0.04, 0.05), dtype=np.float32)
_TEXTURE[[ROAD, SIDEWALK, BUILDING]] = [(0.06, 0.03, 0.08), (0.07, 0.03, 0.07), (0.06, 0.04, 0.07)]
_TEXTURE[[VEGETATION, SKY]] = [(0.16, 0.20, 0.10), (0.0, 0.01, 0.02)]


@dataclass(frozen=True)
class Scene:
    """One rendered street scene.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        label_ids: uint8 (H, W), Cityscapes labelIds.
        instance_ids: uint16 (H, W), ``labelId * 1000 + k`` on things, the labelId elsewhere; ``k`` counts the
            things drawn from 0, so it skips those that nearer ones hide.
    """

    image: NDArray[np.uint8]
    label_ids: NDArray[np.uint8]
    instance_ids: NDArray[np.uint16]


@dataclass(frozen=True)
class _Item:
    """Something to paint at depth ``z``; ``shadow`` is a ground polygon (N, 3) or None."""

    z: float
    paint: Callable[[Canvas], None]
    shadow: Points | None = None


def _depth(rng: np.random.Generator, near: float, far: float) -> float:
    """Depth in metres, log-uniform, so that close and distant things share the picture."""
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def _plan_sides(rng: np.random.Generator, camera: Camera, light: Light, street: Street) -> list[_Item]:
    """House fronts and parks along both building lines, and what closes the view at the end of the street."""
    items: list[_Item] = []
    for side, wall in ((-1, street.walls[0]), (1, street.walls[1])):
        near = float(rng.uniform(0.8, 3.0))
        while near < SKYLINE_Z:
            far = near + float(rng.uniform(6, 20)) * (1 + near / 50)
            if rng.random() < 0.72:
                fall = strip(camera, wall, wall - side * rng.uniform(1, 6), near, far)
                paint = partial(draw_house, x=wall, near=near, far=far)
                items.append(_Item(far, paint, fall if side == light.sun_side else None))
            else:
                items.append(_Item(far + 6, partial(draw_hedge, x=wall, near=near, far=far)))
                for _ in range(3):
                    x, z = wall + side * rng.uniform(1.0, 7.0), float(rng.uniform(near + 3, far + 5))
                    x += float(camera.sway(z))
                    if camera.sees(x, z, 4):
                        items.append(_Item(z, partial(draw_tree, x=x, z=z)))
            near = far + float(rng.choice((0.0, 3.0), p=(0.7, 0.3)))
    for x in map(float, np.arange(-70, 70, 20.0)):
        if rng.random() < 0.4:
            items.append(_Item(SKYLINE_Z + 8, partial(draw_tree, x=x, z=SKYLINE_Z)))
        else:
            items.append(_Item(SKYLINE_Z + 8, partial(draw_house, x=x, near=SKYLINE_Z, far=SKYLINE_Z + 8)))
    return items


def _plan_cars(rng: np.random.Generator, camera: Camera, street: Street) -> list[_Item]:
    """Parked cars, both lanes and perhaps one car that crosses; every car owns its stretch of its lane."""
    (left, right), (park_left, park_right) = street.road, street.parking
    lanes = [(0.3, 0.0, 0.5, 9.0), ((left + 2.0 * park_left + street.centre) / 2, np.pi, 0.5, 7.0)]
    lanes += [(left + 1.0, np.pi, 0.75, 4.0)] * park_left + [(right - 1.0, 0.0, 0.75, 4.0)] * park_right
    cars = []
    for x, yaw, busy, start in lanes:
        z = start + float(rng.uniform(0, 8))
        while z < 60:
            if rng.random() < busy:
                cars.append((x + rng.normal(0, 0.12), z, yaw + rng.normal(0, 0.04)))
            z += 5.6 + float(rng.exponential(1.0 if start == 4.0 else 9.0))
    if rng.random() < 0.3:
        z = float(rng.uniform(10, 30))
        cars = [car for car in cars if abs(car[1] - z) > 4.5]
        cars.append((rng.uniform(left, right), z, np.pi / 2 * rng.choice((-1, 1))))
    items = []
    for x, z, yaw in cars:
        x += float(camera.sway(z))
        if not camera.sees(x, max(z - 2.5, 1.0), 3) and not camera.sees(x, z + 2.5, 3):
            continue
        ring = CIRCLE * ((1.15, 2.3) if abs(np.sin(yaw)) < 0.5 else (2.5, 1.1)) + (x, z)
        shadow = np.stack([ring[:, 0], np.zeros(12), ring[:, 1]], axis=1)
        items.append(_Item(z, partial(draw_car, x=x, z=z, yaw=yaw), shadow))
    return items


def _plan_small(rng: np.random.Generator, camera: Camera, street: Street) -> list[_Item]:
    """Street furniture, trees, people and bicycles, on the pavements and on the road."""
    (left, right), (wall_left, wall_right) = street.road, street.walls
    items: list[_Item] = []

    def put(draw: Callable[..., None], x: float, z: float, **more: bool) -> None:
        x += float(camera.sway(z))
        if not camera.sees(x, z, 4):
            return
        ring = CIRCLE * (0.45, 0.25) + (x, z)
        shadow = np.stack([ring[:, 0], np.zeros(12), ring[:, 1]], axis=1)
        items.append(_Item(z, partial(draw, x=x, z=z, **more), shadow))

    def pavement(kerb: float, wall: float) -> float:
        return float(rng.uniform(min(kerb, wall) + 0.4, max(kerb, wall) - 0.4))

    for kerb, wall in ((left, wall_left), (right, wall_right)):
        by_kerb = float(kerb + 0.35 * np.sign(kerb))
        for z in np.arange(rng.uniform(4, 14), 70, rng.uniform(9, 20)):
            put(draw_lamp, by_kerb, float(z))
        if rng.random() < 0.4:
            for z in np.arange(rng.uniform(6, 14), 60, rng.uniform(7, 14)):
                put(draw_tree, by_kerb + 0.3 * float(np.sign(kerb)), float(z))
        for _ in range(rng.integers(1, 3)):
            put(draw_sign, by_kerb, _depth(rng, 5, 35))
        for _ in range(rng.integers(0, 5)):
            place, depth = pavement(kerb, wall), _depth(rng, 4.0, 30)
            for k in range(rng.integers(1, 4)):
                put(draw_person, place + 0.55 * k, depth + float(rng.uniform(-0.3, 0.3)))
        if rng.random() < 0.4:
            put(draw_bicycle, pavement(kerb, wall), _depth(rng, 4.0, 14), ridden=False)
        if rng.random() < 0.65:
            put(draw_bicycle, kerb - rng.uniform(0.6, 2.4) * np.sign(kerb), _depth(rng, 4.5, 15), ridden=True)
    for _ in range(rng.integers(0, 3)):
        put(draw_person, float(rng.uniform(left, right)), _depth(rng, 6, 25))
    return items


def _develop(canvas: Canvas, height: int, width: int) -> Scene:
    """Shrink to (``height``, ``width``) and add surface texture, uneven light, exposure, blur and sensor noise."""
    rng = canvas.rng
    ids = np.ascontiguousarray(canvas.ids[::_OVERSAMPLING, ::_OVERSAMPLING])
    labels = np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)
    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    gain = np.ones((height, width), dtype=np.float32)
    for step, strength in zip((1, 3, 16), np.moveaxis(_TEXTURE[labels], -1, 0), strict=True):
        noise = rng.standard_normal((-(-height // step), -(-width // step)), dtype=np.float32)
        gain += strength * (noise if step == 1 else cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR))
    uneven = rng.uniform(0.85, 1.1, (2, 3)).astype(np.float32)
    gain *= cv2.resize(uneven, (width, height), interpolation=cv2.INTER_LINEAR)
    image *= gain[..., None] * canvas.light.exposure.astype(np.float32)
    softness, noise_level = float(rng.uniform(0.3, 0.65)), float(rng.uniform(1.5, 5.0))
    seen = cv2.GaussianBlur(image, (3, 3), softness) + noise_level * rng.standard_normal(image.shape, dtype=np.float32)
    return Scene(np.clip(seen, 0, 255).astype(np.uint8), labels, ids)


def check_int(name: str, value: int, least: int) -> None:
    """Refuses what is no whole number from ``least`` up."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadType(f'{name} must be an int, got {value!r} ({type(value).__name__}); pass a plain whole number')
    if value < least:
        raise BadValue(f'{name} must be at least {least}, got {value}; pass a larger {name}')


def render_scene(rng: np.random.Generator, height: int = 128, width: int = 256) -> Scene:
    """Render one street scene.

    Args:
        rng: Source of all randomness; equal generator states give equal scenes.
        height: Image height in pixels, at least 32.
        width: Image width in pixels, at least 32.

    Returns:
        The scene; all its arrays are (``height``, ``width``) or (``height``, ``width``, 3).

    Raises:
        TypeError: If ``height`` or ``width`` is not an int.
        ValueError: If ``height`` or ``width`` is below 32.
    """
    check_int('height', height, MIN_SIDE)
    check_int('width', width, MIN_SIDE)
    rows, columns = height * _OVERSAMPLING, width * _OVERSAMPLING
    camera = Camera(
        width=columns,
        focal=float(rng.uniform(0.8, 1.15)) * rows,
        horizon=float(rng.uniform(0.34, 0.52)) * rows,
        centre=float(rng.uniform(0.32, 0.68)) * columns,
        height=float(rng.uniform(1.3, 2.2)),
        bend=float(rng.normal(0, 0.0018)),
    )
    light, street = make_light(rng), make_street(rng)
    image, ids = np.zeros((rows, columns, 3), np.uint8), np.zeros((rows, columns), np.uint16)
    canvas = Canvas(rng, camera, light, image, ids)
    items = _plan_sides(rng, camera, light, street) + _plan_cars(rng, camera, street) + _plan_small(rng, camera, street)
    draw_sky(canvas)
    draw_ground(canvas, street, [item.shadow for item in items if item.shadow is not None])
    for item in sorted(items, key=lambda entry: -entry.z):
        item.paint(canvas)
    if rng.random() < 0.5:
        draw_bonnet(canvas)
    return _develop(canvas, height, width)
