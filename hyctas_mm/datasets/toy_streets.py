"""Seeded synthetic street scenes in the Cityscapes on-disk layout.

A scene is a small metric world seen by a pinhole camera: a (possibly bending) road with pavements, building fronts,
trees, poles, signs, cars, people and riders, painted far to near at twice the asked size. Colours are shared between
classes on purpose, so that shape and context, not colour, tell the classes apart.

World coordinates are metres: ``x`` to the right of the camera, ``y`` up from the ground, ``z`` ahead of the camera.
Colours are RGB in 0..255. Lower-level drawing functions take the canvas they change as their first argument.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

EGO_VEHICLE, ROAD, SIDEWALK, BUILDING, POLE, TRAFFIC_SIGN = 1, 7, 8, 11, 17, 20
VEGETATION, SKY, PERSON, RIDER, CAR, BICYCLE = 21, 23, 24, 25, 26, 33
DRAWN_LABEL_IDS = (ROAD, SIDEWALK, BUILDING, POLE, TRAFFIC_SIGN, VEGETATION, SKY, PERSON, RIDER, CAR, BICYCLE)
THING_LABEL_IDS = (PERSON, RIDER, CAR, BICYCLE)
IGNORE_TRAIN_ID = 255
# The official Cityscapes table (cityscapesScripts, helpers/labels.py); every other labelId is ignored in training.
LABEL_ID_TO_TRAIN_ID: dict[int, int] = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
TRAIN_CITIES, VAL_CITIES = ("toyville", "toydorf", "toyburg"), ("toyhaven",)
MANIFEST_NAME = "toy_streets.json"
# Raise this whenever a change here alters the pixels, so that a set made by older code is not taken for a new one.
GENERATOR_VERSION = 1
MIN_SIDE = 32

_OVERSAMPLING = 2
_SKYLINE_Z = 120.0
_CAR_HALF_WIDTH = 0.9
# Side views as (length, height) from the bottom rear over the roof to the bottom front: hatchback, saloon, van, SUV.
_CAR_PROFILES = np.array([
    [(-2.0, 0.3), (-2.0, 0.8), (-1.9, 0.95), (-1.5, 1.45), (0.2, 1.45), (1.0, 0.95), (1.95, 0.8), (2.0, 0.3)],
    [(-2.3, 0.3), (-2.3, 0.85), (-1.6, 0.98), (-1.0, 1.42), (0.4, 1.42), (1.1, 0.95), (2.2, 0.8), (2.3, 0.3)],
    [(-2.5, 0.35), (-2.5, 0.9), (-2.45, 1.15), (-2.3, 2.1), (1.3, 2.1), (2.0, 1.2), (2.4, 1.0), (2.5, 0.35)],
    [(-2.2, 0.35), (-2.2, 0.9), (-2.15, 1.05), (-1.9, 1.7), (0.4, 1.7), (1.1, 1.1), (2.1, 1.0), (2.2, 0.35)],
])  # fmt: skip
_CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
_SIGN_COLOURS = ((190, 40, 40), (40, 80, 170), (225, 190, 60), (215, 215, 210), (40, 120, 80))
# Texture strength per labelId as (fine, middle, coarse) noise; the built surfaces are kept alike.
_TEXTURE = np.full((256, 3), (0.05, 0.04, 0.05), dtype=np.float32)
_TEXTURE[[ROAD, SIDEWALK, BUILDING]] = [(0.06, 0.03, 0.08), (0.07, 0.03, 0.07), (0.06, 0.04, 0.07)]
_TEXTURE[[VEGETATION, SKY]] = [(0.16, 0.20, 0.10), (0.0, 0.01, 0.02)]

Colour = NDArray[np.float64]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """One rendered street scene.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        label_ids: uint8 (H, W), Cityscapes labelIds.
        instance_ids: uint16 (H, W), ``labelId * 1000 + k`` on things (k counts from 0), the labelId elsewhere.
    """

    image: NDArray[np.uint8]
    label_ids: NDArray[np.uint8]
    instance_ids: NDArray[np.uint16]


@dataclass(frozen=True)
class _Camera:
    """Pinhole camera; ``focal``, ``horizon`` and ``centre`` in pixels, ``height`` in metres, ``bend`` in 1/metres."""

    focal: float
    horizon: float
    centre: float
    height: float
    bend: float

    def sway(self, z: ArrayLike) -> NDArray[np.float64]:
        """Sideways shift in metres of the bending street at depth ``z``."""
        return self.bend * np.maximum(np.asarray(z) - 8.0, 0.0) ** 2

    def project(self, points: Points) -> NDArray[np.int32]:
        """Turn world points (..., 3) into integer pixel (column, row) pairs (..., 2)."""
        depth = np.maximum(points[..., 2], 0.6)
        column = self.centre + self.focal * points[..., 0] / depth
        row = self.horizon + self.focal * (self.height - points[..., 1]) / depth
        return np.rint(np.stack([column, row], axis=-1)).astype(np.int32)


@dataclass(frozen=True)
class _Light:
    """Weather and time of day; ``shade`` dims faces off the sun, ``lit`` is the share of lit windows."""

    sun_side: int
    shade: float
    haze: Colour
    haze_length: float
    exposure: Colour
    lit: float
    sky_top: Colour
    cloud: float


@dataclass(frozen=True)
class _Street:
    """Sideways positions in metres of the road edges and building lines, and the shared surface colours."""

    road: tuple[float, float]
    walls: tuple[float, float]
    centre: float
    parking: tuple[bool, bool]


@dataclass(frozen=True)
class _Canvas:
    """What is being painted: ``image`` (H, W, 3) uint8 and ``ids`` (H, W) uint16 of instance ids, both in place."""

    rng: np.random.Generator
    camera: _Camera
    light: _Light
    image: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    counts: dict[int, int] = field(default_factory=dict)

    def new_id(self, label: int) -> int:
        """Return the next unused instance id of the thing class ``label``."""
        self.counts[label] = self.counts.get(label, -1) + 1
        return label * 1000 + self.counts[label]

    def tint(self, colour: ArrayLike, z: float) -> tuple[float, float, float]:
        """Fade ``colour`` (3,) towards the haze by the depth ``z`` in metres."""
        keep = float(np.exp(-z / self.light.haze_length))
        red, green, blue = np.clip(np.asarray(colour) * keep + self.light.haze * (1 - keep), 0, 255).tolist()
        return red, green, blue

    def fill(self, points: ArrayLike, colour: ArrayLike, ident: int | None = None) -> None:
        """Fill the world polygon (N, 3), or polygons (M, N, 3); ``ident`` None leaves the labels as they are."""
        world = np.asarray(points, dtype=np.float64)
        pixels = self.camera.project(world)
        polygons = list(pixels) if pixels.ndim == 3 else [pixels]
        cv2.fillPoly(self.image, polygons, self.tint(colour, float(world[..., 2].mean())))
        if ident is not None:
            cv2.fillPoly(self.ids, polygons, (ident,))

    def flat(self, shape: ArrayLike, at: tuple[float, float], colour: ArrayLike, ident: int | None = None) -> None:
        """Fill a camera-facing polygon (N, 2) of (right, up) metres standing at ``at`` = (x, z)."""
        self.fill(_upright(shape, at), colour, ident)


@dataclass(frozen=True)
class _Item:
    """Something to paint at depth ``z``; ``shadow`` is a ground polygon (N, 3) or None."""

    z: float
    paint: Callable[[_Canvas], None]
    shadow: Points | None = None


def _upright(shape: ArrayLike, at: tuple[float, float]) -> Points:
    flat = np.asarray(shape, dtype=np.float64)
    return np.stack([flat[:, 0] + at[0], flat[:, 1], np.full(len(flat), at[1])], axis=1)


def _limb(start: Sequence[float], end: Sequence[float], width: float) -> Points:
    """Quad (4, 2) of the given width in metres around the segment from ``start`` to ``end``."""
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    along = (last - first) / max(float(np.hypot(*(last - first))), 1e-6)
    across = np.array([-along[1], along[0]]) * width / 2
    return np.stack([first + across, last + across, last - across, first - across])


def _blob(rng: np.random.Generator, centre: Sequence[float], radius: Sequence[float], rough: float = 0.0) -> Points:
    """Ellipse (12, 2) around ``centre`` whose outline wobbles by the share ``rough``."""
    wobble = 1 + rough * rng.uniform(-1, 1, (12, 1)) if rough else 1.0
    return np.asarray(centre) + _CIRCLE * wobble * np.asarray(radius)


def _any_colour(rng: np.random.Generator) -> Colour:
    """Any colour, greys included: used for cars, clothes, shop fronts."""
    colour = rng.uniform(15, 235, 3)
    return np.clip(colour.mean() + rng.uniform(0, 1.7) * (colour - colour.mean()), 8, 245)


def _street_grey(rng: np.random.Generator) -> Colour:
    """A greyish colour from the one pool that road, pavement, walls and poles share."""
    return np.asarray(rng.uniform(70, 165) + rng.normal(0, 7) * np.array([1.0, 0.2, -1.0]) + rng.normal(0, 3, 3))


def _leaf_colour(rng: np.random.Generator) -> Colour:
    """Green mostly, else autumn brown."""
    base = (62, 92, 44) if rng.random() < 0.75 else (130, 92, 48)
    return np.array(base) * rng.uniform(0.6, 1.3) + rng.normal(0, 9, 3)


def _make_light(rng: np.random.Generator) -> _Light:
    kind = rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))  # clear, overcast, low sun, dusk
    top = np.array([(95, 140, 200), (165, 170, 178), (120, 130, 170), (50, 60, 95)][kind]) + rng.normal(0, 10, 3)
    low = np.array([(200, 212, 222), (190, 192, 195), (235, 190, 150), (130, 110, 120)][kind]) + rng.normal(0, 10, 3)
    level = rng.uniform(*[(0.8, 1.25), (0.65, 1.0), (0.7, 1.05), (0.5, 0.7)][kind])
    return _Light(
        sun_side=int(rng.choice((-1, 1))),
        shade=float(rng.uniform(*[(0.5, 0.7), (0.9, 1.0), (0.5, 0.75), (0.85, 1.0)][kind])),
        haze=low,
        haze_length=float(rng.uniform(110, 500)),
        exposure=level * (1 + rng.normal(0, 0.06, 3)) * ((1.08, 1.0, 0.88) if kind == 2 else (1.0, 1.0, 1.0)),
        lit=(0.02, 0.1, 0.08, 0.5)[kind],
        sky_top=top,
        cloud=float(rng.uniform(0.0, 1.0)),
    )


def _make_street(rng: np.random.Generator) -> _Street:
    left, right = -float(rng.uniform(3.6, 7.6)), float(rng.uniform(2.0, 5.0))
    return _Street(
        road=(left, right),
        walls=(left - float(rng.uniform(2.0, 5.0)), right + float(rng.uniform(2.0, 5.0))),
        centre=float(rng.uniform(-2.0, -1.3)),
        parking=(left < -5.0 and rng.random() < 0.7, right > 3.1 and rng.random() < 0.7),
    )


def _draw_sky(canvas: _Canvas) -> None:
    height, width = canvas.ids.shape
    ramp = np.clip(np.arange(height) / max(canvas.camera.horizon, 1.0), 0, 1)[:, None, None]
    sky = canvas.light.sky_top * (1 - ramp) + canvas.light.haze * ramp
    noise = cv2.resize(canvas.rng.standard_normal((7, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(noise + 2 * canvas.light.cloud - 1, 0, 1)[..., None] * 0.7
    canvas.image[:] = np.clip(sky * (1 - cover) + np.minimum(canvas.light.haze + 25, 250) * cover, 0, 255)
    canvas.ids[:] = SKY


def _strip(camera: _Camera, left: float, right: float, near: float, far: float) -> Points:
    """Ground polygon (24, 3) that follows the street between two sideways positions and two depths, in metres."""
    depth = np.geomspace(near, far, 12)
    edges = [np.stack([side + camera.sway(depth), np.zeros(12), depth], axis=1) for side in (left, right)]
    return np.concatenate([edges[0], edges[1][::-1]])


def _draw_ground(canvas: _Canvas, street: _Street) -> None:
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    row = min(max(int(camera.horizon) + 1, 0), canvas.ids.shape[0] - 1)
    pavement, asphalt = _street_grey(rng), _street_grey(rng)
    canvas.image[row:], canvas.ids[row:] = pavement, SIDEWALK
    joint = pavement * rng.uniform(0.8, 0.95)
    tile = float(rng.uniform(0.8, 2.0))
    for side, wall in ((left, street.walls[0]), (right, street.walls[1])):
        for z in np.arange(2.0, 26.0, tile):
            canvas.fill(_strip(camera, side, wall, z, z + 0.05), joint)
        canvas.fill(_strip(camera, (side + wall) / 2, (side + wall) / 2 + 0.05, 1.2, 30), joint)
    canvas.fill(_strip(camera, left - 0.15, right + 0.15, 1.2, _SKYLINE_Z), pavement * rng.uniform(0.75, 1.25))
    canvas.fill(_strip(camera, left, right, 1.2, _SKYLINE_Z), asphalt, ROAD)
    for _ in range(rng.integers(0, 5)):  # mended patches
        x, z = rng.uniform(left + 0.3, right - 1.5), rng.uniform(3, 25)
        canvas.fill(_strip(camera, x, x + rng.uniform(0.4, 1.2), z, z + rng.uniform(1, 8)), asphalt * rng.uniform(0.8, 1.2))
    _draw_markings(canvas, street)
    depth = camera.focal * camera.height / (np.arange(row, canvas.ids.shape[0]) + 1 - camera.horizon)
    keep = np.exp(-depth / canvas.light.haze_length)[:, None, None]
    canvas.image[row:] = canvas.image[row:] * keep + np.clip(canvas.light.haze, 0, 255) * (1 - keep)


def _draw_markings(canvas: _Canvas, street: _Street) -> None:
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    white = np.full(3, rng.uniform(150, 225))
    period = rng.uniform(5, 9)
    if rng.random() < 0.8:
        for z in np.arange(rng.uniform(1.3, period), 70, period):
            canvas.fill(_strip(camera, street.centre - 0.07, street.centre + 0.07, z, z + period / 2), white)
    for edge, inset in ((left, 0.3), (right, -0.3)):
        if rng.random() < 0.5:
            canvas.fill(_strip(camera, edge + inset - 0.06, edge + inset + 0.06, 1.2, 90), white)
    if rng.random() < 0.4:  # zebra crossing
        z = rng.uniform(5, 22)
        for x in np.arange(left + 0.4, right - 0.6, 1.0):
            canvas.fill(_strip(camera, x, x + 0.5, z, z + 3), white)


def _draw_shadows(canvas: _Canvas, shadows: Sequence[Points]) -> None:
    """Dim the ground, the only thing painted so far but the sky, under the shadow polygons."""
    mask = np.zeros(canvas.ids.shape, dtype=np.uint8)
    for shadow in shadows:
        cv2.fillPoly(mask, [canvas.camera.project(shadow)], (255,))
    mask = cv2.blur(np.where(canvas.ids == SKY, 0, mask).astype(np.uint8), (3, 3))
    dim = 1 - (1 - 0.85 * canvas.light.shade) * (mask.astype(np.float32) / 255)
    canvas.image[:] = canvas.image * dim[..., None]


def _draw_facade(canvas: _Canvas, start: Sequence[float], end: Sequence[float], height: float, colour: Colour) -> None:
    """Paint a wall from ``start`` to ``end``, both (x, z), with windows, and a shop band or doors at street level."""
    rng = canvas.rng
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    length = float(np.hypot(*(last - first)))

    def panel(along: ArrayLike, low: ArrayLike, width: float, tall: float) -> Points:
        """Rectangles (N, 4, 3) on the wall from their left ends (N,) and lower edges (N,)."""
        ends, base = np.asarray(along)[:, None] + np.array([0, width, width, 0]), np.asarray(low)[:, None]
        ground = first + (last - first) * (ends / length)[..., None]
        return np.stack([ground[..., 0], base + np.array([0, 0, tall, tall]), ground[..., 1]], axis=-1)

    canvas.fill(panel([0.0], [-0.1], length, height + 0.1), colour, BUILDING)
    storey, pitch = rng.uniform(2.8, 3.6), rng.uniform(1.8, 3.6)
    columns, floors = np.arange(0.4, length - pitch * 0.8, pitch), np.arange(storey + 0.9, height - 1.6, storey)
    grid = np.stack(np.meshgrid(columns, floors), axis=-1).reshape(-1, 2)
    panes = panel(grid[:, 0], grid[:, 1], pitch * rng.uniform(0.35, 0.7), storey * rng.uniform(0.4, 0.6))
    lit = rng.random(len(panes)) < canvas.light.lit
    glass = (colour * 0.35 + 15) if rng.random() < 0.6 else canvas.light.sky_top * 0.7
    for chosen, pane in ((~lit, glass), (lit, np.array([245, 215, 140]))):
        if chosen.any():
            canvas.fill(panes[chosen], pane)
    if rng.random() < 0.5 and length > 4:  # shop windows under a name board
        canvas.fill(panel([0.3], [0.4], length - 0.6, 2.1), _any_colour(rng) * 0.5)
        canvas.fill(panel([0.3], [2.6], length - 0.6, 0.6), _any_colour(rng))
    for along in np.arange(1.0, length - 1.5, rng.uniform(3, 8)):  # doors, about as large as people
        canvas.fill(panel([along], [0.0], rng.uniform(0.7, 1.1), rng.uniform(1.7, 2.2)), _any_colour(rng) * 0.7)
    for along in rng.uniform(0.5, max(length - 1.5, 0.6), rng.integers(0, 3)):  # posters, coloured like traffic signs
        board = panel([along], [rng.uniform(2, 3.5)], rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.2))
        canvas.fill(board, rng.choice(_SIGN_COLOURS))


def _draw_house(canvas: _Canvas, x: float, near: float, far: float) -> None:
    rng, side = canvas.rng, 1 if x > 0 else -1
    height = float(rng.uniform(5, 17))
    colour = _street_grey(rng) if rng.random() < 0.6 else np.clip(_any_colour(rng) * 0.6 + 50, 0, 235)
    shade = canvas.light.shade if side == canvas.light.sun_side else 1.0
    x0, x1 = x + float(canvas.camera.sway(near)), x + float(canvas.camera.sway(far))
    if rng.random() < 0.5:  # pitched roof
        ridge = [(x0, height, near), (x1, height, far), (x1 + 4 * side, height + 3, far), (x0 + 4 * side, height + 3, near)]
        gable = [(x0, height, near), (x0 + 4 * side, height + 3, near), (x0 + 8 * side, height, near)]
        canvas.fill(ridge, _any_colour(rng) * 0.6, BUILDING)
        canvas.fill(gable, colour * 0.9, BUILDING)
    _draw_facade(canvas, (x0, near), (x0 + 12 * side, near), height, colour * 0.5 * (1 + canvas.light.shade))
    _draw_facade(canvas, (x0, near), (x1, far), height, colour * shade)


def _draw_hedge(canvas: _Canvas, x: float, near: float, far: float) -> None:
    rng, depth = canvas.rng, np.linspace(far, near, 9)
    top = np.stack([x + canvas.camera.sway(depth), 2.0 + rng.uniform(0, 0.9, 9), depth], axis=1)
    canvas.fill(np.concatenate([top, top[::-1] * (1, 0, 1)]), _leaf_colour(rng), VEGETATION)
