"""Seeded synthetic street scenes in the Cityscapes on-disk layout.

A scene is a small metric world seen by a pinhole camera: a (possibly bending) road with pavements, building fronts,
trees, poles, signs, cars, people and riders, painted far to near at twice the asked size. Colours are shared between
classes on purpose, so that shape and context, not colour, tell the classes apart.

World coordinates are metres: ``x`` to the right of the camera, ``y`` up from the ground, ``z`` ahead of the camera.
Colours are RGB in 0..255. Lower-level drawing functions take the canvas they change as their first argument.
"""

from __future__ import annotations

import json
import math
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
# Half width along the side view as a share: the roof is narrower than the body.
_CAR_TAPER = np.array([1.0, 1.0, 1.0, 0.84, 0.84, 1.0, 1.0, 1.0])
_TYRE = np.array([25.0, 25.0, 27.0])
_SKIN = np.array([225.0, 180.0, 150.0])
_CIRCLE: NDArray[np.float64] = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
_SIGN_COLOURS = ((190, 40, 40), (40, 80, 170), (225, 190, 60), (215, 215, 210), (40, 120, 80))
# Texture strength per labelId as (fine, middle, coarse) noise; the built surfaces are kept alike.
_TEXTURE = np.full((256, 3), (0.05, 0.04, 0.05), dtype=np.float32)
_TEXTURE[[ROAD, SIDEWALK, BUILDING]] = [(0.06, 0.03, 0.08), (0.07, 0.03, 0.07), (0.06, 0.04, 0.07)]
_TEXTURE[[VEGETATION, SKY]] = [(0.16, 0.20, 0.10), (0.0, 0.01, 0.02)]

Colour = NDArray[np.float64]
Points = NDArray[np.float64]
_Face = tuple[Points, Colour]


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
class _Camera:
    """Pinhole camera; ``width`` to ``centre`` in pixels, ``height`` in metres, ``bend`` of the street in 1/metres."""

    width: int
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
        scale = self.focal / np.maximum(points[..., 2], 0.6)
        pixels = np.empty((*scale.shape, 2), dtype=np.int32)
        pixels[..., 0] = self.centre + points[..., 0] * scale
        pixels[..., 1] = self.horizon + (self.height - points[..., 1]) * scale
        return pixels

    def project_flat(self, shape: ArrayLike, at: tuple[float, float]) -> NDArray[np.int32]:
        """Pixels (N, 2) of a camera-facing outline (N, 2) of (right, up) metres standing at ``at`` = (x, z)."""
        scale = self.focal / at[1]
        foot = np.array([self.centre + at[0] * scale, self.horizon + self.height * scale])
        return (foot + np.asarray(shape) * (scale, -scale)).astype(np.int32)

    def sees(self, x: float, z: float, reach: float) -> bool:
        """Whether something within ``reach`` metres of ``x`` at depth ``z`` can be in the picture."""
        left, right = self.centre + (x - reach) * self.focal / z, self.centre + (x + reach) * self.focal / z
        return right >= 0 and left < self.width


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
    """Sideways positions in metres of the road edges, building lines and centre line, and where cars park."""

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

    def tint(self, colour: ArrayLike, z: float) -> list[float]:
        """Fade ``colour`` (3,) towards the haze by the depth ``z`` in metres."""
        keep = math.exp(-z / self.light.haze_length)
        mixed = (np.asarray(colour) * keep + self.light.haze * (1 - keep)).tolist()
        return [min(max(value, 0.0), 255.0) for value in mixed]

    def fill(self, points: Points, colour: ArrayLike, ident: int | None = None) -> None:
        """Fill the world polygon (N, 3), or polygons (M, N, 3); ``ident`` None leaves the labels as they are."""
        pixels = self.camera.project(points)
        corners = points.reshape(-1, 3)
        z = float(corners[0, 2] + corners[len(corners) // 2, 2]) / 2
        self._fill_pixels(list(pixels) if pixels.ndim == 3 else [pixels], self.tint(colour, z), ident)

    def flat(self, shape: ArrayLike, at: tuple[float, float], colour: ArrayLike, ident: int | None = None) -> None:
        """Fill a camera-facing polygon (N, 2) of (right, up) metres standing at ``at`` = (x, z)."""
        self._fill_pixels([self.camera.project_flat(shape, at)], self.tint(colour, at[1]), ident)

    def _fill_pixels(self, polygons: list[NDArray[np.int32]], colour: list[float], ident: int | None) -> None:
        cv2.fillPoly(self.image, polygons, colour)
        if ident is not None:
            cv2.fillPoly(self.ids, polygons, (ident,))


@dataclass(frozen=True)
class _Item:
    """Something to paint at depth ``z``; ``shadow`` is a ground polygon (N, 3) or None."""

    z: float
    paint: Callable[[_Canvas], None]
    shadow: Points | None = None


def _limb(start: Sequence[float], end: Sequence[float], width: float) -> Points:
    """Quad (4, 2) of the given width in metres around the segment from ``start`` to ``end``."""
    (x0, y0), (x1, y1) = start, end
    half = width / 2 / max(math.hypot(x1 - x0, y1 - y0), 1e-6)
    right, up = (y0 - y1) * half, (x1 - x0) * half
    return np.array([(x0 + right, y0 + up), (x1 + right, y1 + up), (x1 - right, y1 - up), (x0 - right, y0 - up)])


def _blob(rng: np.random.Generator, centre: Sequence[float], radius: Sequence[float], rough: float = 0.0) -> Points:
    """Ellipse (12, 2) around ``centre`` whose outline wobbles by the share ``rough``."""
    wobble = 1 + rough * rng.uniform(-1, 1, (12, 1)) if rough else np.ones((12, 1))
    outline: Points = np.asarray(centre) + _CIRCLE * wobble * np.asarray(radius)
    return outline


def _any_colour(rng: np.random.Generator) -> Colour:
    """Any colour, greys included: used for cars, clothes, shop fronts."""
    colour, grey = rng.uniform(15, 230, 3), rng.uniform(20, 215)
    return np.asarray(grey + (colour - grey) * rng.uniform(0, 1), dtype=np.float64)


def _street_grey(rng: np.random.Generator) -> Colour:
    """A greyish colour from the one pool that road, pavement, walls and poles share."""
    return np.array([1.0, 0.2, -1.0]) * float(rng.normal(0, 7)) + rng.normal(0, 3, 3) + float(rng.uniform(70, 165))


def _leaf_colour(rng: np.random.Generator) -> Colour:
    """Green mostly, else autumn brown."""
    base = np.array((62.0, 92.0, 44.0) if rng.random() < 0.75 else (130.0, 92.0, 48.0))
    return base * float(rng.uniform(0.6, 1.3)) + rng.normal(0, 9, 3)


def _make_light(rng: np.random.Generator) -> _Light:
    kind = rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))  # clear, overcast, low sun, dusk
    top = np.array([(95, 140, 200), (165, 170, 178), (120, 130, 170), (50, 60, 95)][kind]) + rng.normal(0, 10, 3)
    low = np.array([(200, 212, 222), (190, 192, 195), (235, 190, 150), (130, 110, 120)][kind]) + rng.normal(0, 10, 3)
    level = rng.uniform(*[(0.8, 1.25), (0.65, 1.0), (0.7, 1.05), (0.55, 0.8)][kind])
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
    """Paint a gradient with soft clouds over the whole canvas; it is smooth, so an eighth of the size will do."""
    height, width = canvas.ids.shape
    rows, columns = -(-height // 8), -(-width // 8)
    ramp = np.clip(np.arange(rows) * 8 / max(canvas.camera.horizon, 1.0), 0, 1)[:, None, None]
    sky = canvas.light.sky_top * (1 - ramp) + canvas.light.haze * ramp
    noise = cv2.resize(canvas.rng.standard_normal((7, 5)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(noise + 2 * canvas.light.cloud - 1, 0, 1)[..., None] * 0.7
    sky = np.clip(sky * (1 - cover) + np.minimum(canvas.light.haze + 25, 250) * cover, 0, 255)
    cv2.resize(sky.astype(np.uint8), (width, height), canvas.image, interpolation=cv2.INTER_LINEAR)
    canvas.ids[:] = SKY


def _strip(camera: _Camera, left: float, right: float, near: float, far: float) -> Points:
    """Ground polygon (24, 3) that follows the street between two sideways positions and two depths, in metres."""
    depth = near * (far / near) ** np.linspace(0, 1, 12)
    shift, level = camera.sway(depth), np.zeros(12)
    edges = [np.stack([side + shift, level, depth], axis=1) for side in (left, right)]
    return np.concatenate([edges[0], edges[1][::-1]])


def _slabs(camera: _Camera, left: ArrayLike, right: ArrayLike, near: ArrayLike, far: ArrayLike) -> Points:
    """Small ground quads (M, 4, 3); the four bounds in metres are numbers or (M,) arrays."""
    x0, x1, z0, z1 = np.broadcast_arrays(*(np.asarray(bound, dtype=np.float64) for bound in (left, right, near, far)))
    x, z = np.stack([x0, x1, x1, x0], axis=-1), np.stack([z0, z0, z1, z1], axis=-1)
    return np.stack([x + camera.sway(z), np.zeros_like(x), z], axis=-1)


def _draw_ground(canvas: _Canvas, street: _Street, shadows: Sequence[Points]) -> None:
    """Paint pavements and road, then darken them under the ``shadows``, ground polygons (N, 3) each."""
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    row = min(max(int(camera.horizon) + 1, 0), canvas.ids.shape[0] - 1)
    pavement, asphalt = _street_grey(rng), _street_grey(rng)
    canvas.image[row:], canvas.ids[row:] = pavement, SIDEWALK
    joint, seams = pavement * rng.uniform(0.8, 0.95), np.arange(2.0, 26.0, rng.uniform(0.8, 2.0))
    for side, wall in ((left, street.walls[0]), (right, street.walls[1])):
        canvas.fill(_slabs(camera, side, wall, seams, seams + 0.05), joint)
        canvas.fill(_strip(camera, (side + wall) / 2, (side + wall) / 2 + 0.05, 1.2, 30), joint)
    canvas.fill(_strip(camera, left - 0.15, right + 0.15, 1.2, _SKYLINE_Z), pavement * rng.uniform(0.75, 1.25))
    canvas.fill(_strip(camera, left, right, 1.2, _SKYLINE_Z), asphalt, ROAD)
    for _ in range(rng.integers(0, 5)):  # mended patches
        x, z = rng.uniform(left + 0.3, right - 1.5), rng.uniform(3, 25)
        patch = _slabs(camera, x, x + rng.uniform(0.4, 1.2), z, z + rng.uniform(1, 8))
        canvas.fill(patch, asphalt * rng.uniform(0.8, 1.2))
    _draw_markings(canvas, street)
    mask = np.zeros(canvas.ids.shape, dtype=np.uint8)
    for shadow in shadows:  # one by one: together, shadows that overlap would cancel out
        cv2.fillPoly(mask, [camera.project(shadow)], (255,))
    dim = 1 - (1 - 0.85 * canvas.light.shade) / 255 * cv2.blur(mask, (3, 3))[row:, :, None].astype(np.float32)
    depth = camera.focal * camera.height / (np.arange(row, canvas.ids.shape[0]) + 1 - camera.horizon)
    keep = np.exp(-depth / canvas.light.haze_length)[:, None, None].astype(np.float32)
    haze = np.clip(canvas.light.haze, 0, 255).astype(np.float32)
    canvas.image[row:] = canvas.image[row:] * (keep * dim) + haze * (1 - keep)


def _draw_markings(canvas: _Canvas, street: _Street) -> None:
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    white, period = np.full(3, rng.uniform(150, 225)), float(rng.uniform(5, 9))
    if rng.random() < 0.8:
        dashes = np.arange(rng.uniform(1.3, period), 70, period)
        canvas.fill(_slabs(camera, street.centre - 0.07, street.centre + 0.07, dashes, dashes + period / 2), white)
    for edge in (left + 0.3, right - 0.3):
        if rng.random() < 0.5:
            canvas.fill(_strip(camera, edge - 0.06, edge + 0.06, 1.2, 90), white)
    if rng.random() < 0.4:  # zebra crossing
        z, bars = rng.uniform(5, 22), np.arange(left + 0.4, right - 0.6, 1.0)
        canvas.fill(_slabs(camera, bars, bars + 0.5, z, z + 3), white)


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
    if first[1] > 60:
        return
    if rng.random() < 0.5 and length > 4:  # shop windows under a name board
        canvas.fill(panel([0.3], [0.4], length - 0.6, 2.1), _any_colour(rng) * 0.5)
        canvas.fill(panel([0.3], [2.6], length - 0.6, 0.6), _any_colour(rng))
    if length > 3:  # doors, about as large as people, and posters, coloured like traffic signs
        doors = np.arange(1.0, length - 1.5, rng.uniform(3, 8))
        canvas.fill(panel(doors, 0 * doors, rng.uniform(0.7, 1.1), rng.uniform(1.7, 2.2)), _any_colour(rng) * 0.7)
        posters = rng.uniform(0.5, length - 1.5, rng.integers(1, 3))
        boards = panel(posters, posters * 0 + rng.uniform(2, 3.5), rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.2))
        canvas.fill(boards, rng.choice(_SIGN_COLOURS))


def _draw_house(canvas: _Canvas, x: float, near: float, far: float) -> None:
    rng, side = canvas.rng, 1 if x > 0 else -1
    height = float(rng.uniform(5, 17))
    colour = _street_grey(rng) if rng.random() < 0.6 else np.clip(_any_colour(rng) * 0.6 + 50, 0, 235)
    shade = canvas.light.shade if side == canvas.light.sun_side else 1.0
    x0, x1 = x + float(canvas.camera.sway(near)), x + float(canvas.camera.sway(far))
    if rng.random() < 0.5:  # pitched roof
        back, top = 4 * side, height + 3
        ridge = [(x0, height, near), (x1, height, far), (x1 + back, top, far), (x0 + back, top, near)]
        gable = [(x0, height, near), (x0 + back, top, near), (x0 + 2 * back, height, near)]
        canvas.fill(np.array(ridge), _any_colour(rng) * 0.6, BUILDING)
        canvas.fill(np.array(gable), colour * 0.9, BUILDING)
    if canvas.camera.sees(x0 + 6 * side, near, 6):
        _draw_facade(canvas, (x0, near), (x0 + 12 * side, near), height, colour * 0.5 * (1 + canvas.light.shade))
    if near < _SKYLINE_Z:  # beyond it the long side is narrower than a pixel
        _draw_facade(canvas, (x0, near), (x1, far), height, colour * shade)


def _draw_hedge(canvas: _Canvas, x: float, near: float, far: float) -> None:
    rng, depth = canvas.rng, np.linspace(far, near, 9)
    top = np.stack([x + canvas.camera.sway(depth), 2.0 + rng.uniform(0, 0.9, 9), depth], axis=1)
    canvas.fill(np.concatenate([top, top[::-1] * (1, 0, 1)]), _leaf_colour(rng), VEGETATION)


def _draw_tree(canvas: _Canvas, x: float, z: float) -> None:
    rng, height = canvas.rng, float(canvas.rng.uniform(3.5, 9))
    width, radius = rng.uniform(0.15, 0.45), height * rng.uniform(0.22, 0.4)
    trunk = (90, 75, 60) * rng.uniform(0.6, 1.4, 3) if rng.random() < 0.6 else _street_grey(rng) * 0.7
    canvas.flat(_limb((0, 0), (rng.normal(0, 0.2), height * 0.6), width), (x, z), trunk, VEGETATION)
    leaf = _leaf_colour(rng)
    for _ in range(8 if z < 30 else 4):
        spot = (rng.normal(0, 0.4) * radius, height - radius + rng.normal(0, 0.45) * radius)
        leaves = _blob(rng, spot, (radius * rng.uniform(0.4, 0.8), radius * rng.uniform(0.35, 0.7)), 0.3)
        canvas.flat(leaves, (x, z), leaf * rng.uniform(0.65, 1.25), VEGETATION)


def _draw_lamp(canvas: _Canvas, x: float, z: float) -> None:
    """A lamp post that leans its arm over the road, or a bollard."""
    rng, colour = canvas.rng, _street_grey(canvas.rng) * canvas.rng.choice((0.35, 0.8, 1.35))
    if rng.random() < 0.25:
        canvas.flat(_limb((0, 0), (0, rng.uniform(0.8, 1.2)), 0.2), (x, z), colour, POLE)
        return
    height, reach = float(rng.uniform(4, 8)), float(-np.sign(x) * rng.uniform(0.5, 2.0))
    canvas.flat(_limb((0, 0), (0, height), rng.uniform(0.16, 0.3)), (x, z), colour, POLE)
    canvas.flat(_limb((0, height), (reach, height + 0.2), 0.14), (x, z), colour, POLE)
    canvas.flat(_limb((reach - 0.3, height + 0.2), (reach + 0.3, height + 0.2), 0.2), (x, z), colour * 0.8, POLE)


def _draw_sign(canvas: _Canvas, x: float, z: float) -> None:
    """One or two round, three- or four-cornered signs on a post."""
    rng, height = canvas.rng, float(canvas.rng.uniform(2.1, 3.2))
    canvas.flat(_limb((0, 0), (0, height), 0.12), (x, z), _street_grey(rng) * rng.uniform(0.4, 1.4), POLE)
    for _ in range(rng.integers(1, 3)):
        size = float(rng.uniform(0.32, 0.55))
        outline = (_CIRCLE, _CIRCLE[1::4], _CIRCLE[::3], np.array([(-1, -0.6), (1, -0.6), (1, 0.6), (-1, 0.6)]))[
            rng.integers(4)
        ]
        face, mark = rng.choice(len(_SIGN_COLOURS), 2, replace=False)
        for scale, colour in ((size, _SIGN_COLOURS[face]), (size * rng.uniform(0.4, 0.8), _SIGN_COLOURS[mark])):
            worn = np.array(colour) * rng.uniform(0.7, 1.05)
            canvas.flat(outline * scale + (0, height), (x, z), worn, TRAFFIC_SIGN)
        height -= 2 * size


def _car_faces(rng: np.random.Generator, profile: Points, paint: Colour, glass: Colour, eye: Points) -> list[_Face]:
    """Front, back and top faces of the car body that look at the camera, each followed by what lies on it.

    Args:
        rng: Source of randomness.
        profile: Side view (8, 2) in metres.
        paint: Body colour.
        glass: Colour of the windows.
        eye: Camera position (2,) as (length, height) in car coordinates.
    """
    spread = _CAR_HALF_WIDTH * _CAR_TAPER
    faces: list[_Face] = []
    for i in range(7):
        (rear, low), (front, high) = profile[i], profile[i + 1]
        out, middle = (low - high, front - rear), ((rear + front) / 2, (low + high) / 2)
        if out[0] * (eye[0] - middle[0]) + out[1] * (eye[1] - middle[1]) <= 0:
            continue
        half, half_next = spread[i], spread[i + 1]
        corners = np.array([(rear, low, -half), (rear, low, half), (front, high, half_next), (front, high, -half_next)])
        if i in (0, 6):  # the tyres and the dark gap between them
            below = corners.copy()
            below[:, 1] = [0.14, 0.14, 0.4, 0.4]
            faces.append((below * (0.97, 1, 0.9), _TYRE))
            faces += [(below * (0.95, 1, 0.16) - (0, 0.14, 0) + (0, 0, edge), _TYRE) for edge in (-0.7, 0.7)]
        faces.append((corners, paint * (1.08 if abs(out[0]) < abs(out[1]) else 0.85)))
        if i in (2, 4):
            faces.append((0.9 * corners + 0.1 * corners.mean(axis=0), glass))
        if i in (0, 6):  # number plate and lamps
            end, lamp = (rear, (200.0, 40.0, 35.0)) if i == 0 else (front, (240.0, 235.0, 205.0))
            for across, low, colour in ((0.0, 0.42, (205.0, 205.0, 195.0)), (-0.66, 0.6, lamp), (0.66, 0.6, lamp)):
                box = [(-0.2, 0.0), (0.2, 0.0), (0.2, 0.15), (-0.2, 0.15)]
                faces.append((np.array([(end, low + up, across + right) for right, up in box]), np.array(colour)))
    return faces


def _car_side(profile: Points, side: float, paint: Colour, glass: Colour) -> list[_Face]:
    """The visible long side of a car (``side`` is -1 or 1) with its windows and wheels, in painting order."""
    spread = side * _CAR_HALF_WIDTH * _CAR_TAPER
    window = 0.86 * profile[2:6] + 0.14 * profile[2:6].mean(axis=0)
    faces = [(np.column_stack([profile, spread]), paint), (np.column_stack([window, spread[2:6]]), glass)]
    for hub in (profile[0, 0] * 0.63, profile[7, 0] * 0.63):
        for size, colour in ((0.34, _TYRE), (0.18, _TYRE + 95)):
            rim = _CIRCLE * size + (hub, 0.34)
            faces.append((np.column_stack([rim, np.full(12, side * _CAR_HALF_WIDTH)]), colour))
    return faces


def _draw_car(canvas: _Canvas, x: float, z: float, yaw: float) -> None:
    """A car turned by ``yaw`` radians (0 drives away from the camera): an extruded side view in perspective."""
    rng, ident = canvas.rng, canvas.new_id(CAR)
    profile, paint = _CAR_PROFILES[rng.integers(len(_CAR_PROFILES))], _any_colour(rng)
    glass = np.array((45, 52, 60)) * rng.uniform(0.5, 1.6) if rng.random() < 0.7 else canvas.light.haze * 0.7
    sine, cosine = math.sin(yaw), math.cos(yaw)
    faces = _car_faces(rng, profile, paint, glass, np.array([-x * sine - z * cosine, canvas.camera.height]))
    across = -x * cosine + z * sine  # where the camera is, in car coordinates
    if abs(across) > _CAR_HALF_WIDTH:
        side = math.copysign(1.0, across)
        flank = _car_side(profile, side, paint * (0.8 if side == canvas.light.sun_side else 1.0), glass)
        # The end of the car faces the camera more than its flank, or the flank more than the end.
        faces = flank + faces if abs(cosine) > 0.7 else faces + flank
    turn = np.array([(sine, 0, cosine), (0, 1, 0), (cosine, 0, -sine)])
    for corners, colour in faces:
        canvas.fill(corners @ turn + (x, 0, z), colour, ident)


def _draw_person(canvas: _Canvas, x: float, z: float) -> None:
    """A standing or walking person; clothes may have any colour, a street grey included."""
    rng, ident, at = canvas.rng, canvas.new_id(PERSON), (x, z)
    tall = float(rng.uniform(1.5, 1.95)) if rng.random() < 0.85 else float(rng.uniform(1.0, 1.4))
    skin = _SKIN * rng.uniform(0.35, 1.05)
    coat, legs = (_any_colour(rng) * 0.9, _any_colour(rng) * 0.6) if rng.random() < 0.8 else (_street_grey(rng),) * 2
    stride, swing, hem = rng.uniform(0.02, 0.2), rng.uniform(0.0, 0.16), rng.choice((0.47, 0.32))
    for foot in (-stride, stride):
        canvas.flat(_limb((foot * 0.3, 0.5), (foot, 0.0), 0.09) * tall, at, legs, ident)
    torso = np.array([(-0.13, 0.82), (0.13, 0.82), (0.1, 0.6), (0.11, hem), (-0.11, hem), (-0.1, 0.6)])
    canvas.flat(torso * tall, at, coat, ident)
    for shoulder, hand in ((-0.13, -0.15 - swing), (0.13, 0.15 + swing * rng.uniform(-1, 1))):
        canvas.flat(_limb((shoulder, 0.8), (hand, 0.47), 0.06) * tall, at, coat * 0.85, ident)
    if rng.random() < 0.3:  # bag
        canvas.flat(_blob(rng, (0.17, 0.45), (0.08, 0.1)) * tall, at, _any_colour(rng), ident)
    canvas.flat(_blob(rng, (0, 0.91), (0.06, 0.08)) * tall, at, skin, ident)
    canvas.flat(_blob(rng, (0, 0.95), (0.062, 0.05)) * tall, at, _any_colour(rng) * 0.5, ident)


def _draw_bicycle(canvas: _Canvas, x: float, z: float, ridden: bool) -> None:
    """A bicycle, perhaps ridden; its wheels are see-through in the image and solid in the labels, as in Cityscapes."""
    rng, ident = canvas.rng, canvas.new_id(BICYCLE)
    turn = float(rng.choice((-1, 1)) * rng.uniform(0.25, 1.0))
    squeeze, at = np.array([turn, 1.0]), (x, z)
    colour = _any_colour(rng) * rng.uniform(0.3, 0.9)
    wheels = [_blob(rng, (hub, 0.35), (0.35, 0.35)) * squeeze for hub in (-0.52, 0.52)]
    corners = [(-0.52, 0.35), (-0.2, 0.8), (0.4, 0.8), (0.52, 0.35), (0.4, 0.8), (0.0, 0.3), (-0.2, 0.8)]
    frame = np.array(corners) * squeeze
    for part in (*wheels, frame[[0, 1, 2, 3, 5]]):
        cv2.fillPoly(canvas.ids, [canvas.camera.project_flat(part, at)], (ident,))
    thick = max(1, round(0.06 * canvas.camera.focal / z))
    tubes = [canvas.camera.project_flat(frame, at)]
    cv2.polylines(canvas.image, [canvas.camera.project_flat(w, at) for w in wheels], True, canvas.tint(_TYRE, z), thick)
    cv2.polylines(canvas.image, tubes, False, canvas.tint(colour, z), thick)
    canvas.flat(_limb(frame[2], np.array([0.45, 1.05]) * squeeze, 0.07), at, colour * 0.5, ident)
    if ridden:
        _draw_rider(canvas, at, turn)


def _draw_rider(canvas: _Canvas, at: tuple[float, float], turn: float) -> None:
    rng, ident, squeeze = canvas.rng, canvas.new_id(RIDER), np.array([turn, 1.0])
    coat, legs, skin = _any_colour(rng) * 0.9, _any_colour(rng) * 0.6, _SKIN * rng.uniform(0.35, 1.05)
    hip, neck, knee, foot = (np.array(p) * squeeze for p in ((-0.2, 0.9), (0.15, 1.42), (0.2, 0.72), (0.02, 0.28)))
    for apart in (-0.1, 0.1):  # the far and the near leg
        shift = (apart * (1.1 - abs(turn)), apart)
        canvas.flat(_limb(hip, knee + shift, 0.17), at, legs, ident)
        canvas.flat(_limb(knee + shift, foot + shift, 0.13), at, legs * 0.9, ident)
    canvas.flat(_limb(hip, neck, 0.28 + 0.16 * (1 - abs(turn))), at, coat, ident)
    canvas.flat(_limb(neck - (0, 0.06), np.array([0.48, 1.06]) * squeeze, 0.1), at, coat * 0.85, ident)
    canvas.flat(_blob(rng, neck + (0.05 * turn, 0.19), (0.11, 0.14)), at, skin, ident)
    canvas.flat(_blob(rng, neck + (0.05 * turn, 0.26), (0.12, 0.08)), at, _any_colour(rng), ident)


def _depth(rng: np.random.Generator, near: float, far: float) -> float:
    """Depth in metres, log-uniform, so that close and distant things share the picture."""
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def _plan_sides(rng: np.random.Generator, camera: _Camera, light: _Light, street: _Street) -> list[_Item]:
    """House fronts and parks along both building lines, and what closes the view at the end of the street."""
    items: list[_Item] = []
    for side, wall in ((-1, street.walls[0]), (1, street.walls[1])):
        near = float(rng.uniform(0.8, 3.0))
        while near < _SKYLINE_Z:
            far = near + float(rng.uniform(6, 20)) * (1 + near / 50)
            if rng.random() < 0.72:
                fall = _strip(camera, wall, wall - side * rng.uniform(1, 6), near, far)
                paint = partial(_draw_house, x=wall, near=near, far=far)
                items.append(_Item(far, paint, fall if side == light.sun_side else None))
            else:
                items.append(_Item(far + 6, partial(_draw_hedge, x=wall, near=near, far=far)))
                for _ in range(3):
                    x, z = wall + side * rng.uniform(1.0, 7.0), float(rng.uniform(near + 3, far + 5))
                    x += float(camera.sway(z))
                    if camera.sees(x, z, 4):
                        items.append(_Item(z, partial(_draw_tree, x=x, z=z)))
            near = far + float(rng.choice((0.0, 3.0), p=(0.7, 0.3)))
    for x in np.arange(-70, 70, 20.0):
        if rng.random() < 0.4:
            items.append(_Item(_SKYLINE_Z + 8, partial(_draw_tree, x=x, z=_SKYLINE_Z)))
        else:
            items.append(_Item(_SKYLINE_Z + 8, partial(_draw_house, x=x, near=_SKYLINE_Z, far=_SKYLINE_Z + 8)))
    return items


def _plan_cars(rng: np.random.Generator, camera: _Camera, street: _Street) -> list[_Item]:
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
        ring = _CIRCLE * ((1.15, 2.3) if abs(np.sin(yaw)) < 0.5 else (2.5, 1.1)) + (x, z)
        shadow = np.stack([ring[:, 0], np.zeros(12), ring[:, 1]], axis=1)
        items.append(_Item(z, partial(_draw_car, x=x, z=z, yaw=yaw), shadow))
    return items


def _plan_small(rng: np.random.Generator, camera: _Camera, street: _Street) -> list[_Item]:
    """Street furniture, trees, people and bicycles, on the pavements and on the road."""
    (left, right), (wall_left, wall_right) = street.road, street.walls
    items: list[_Item] = []

    def put(draw: Callable[..., None], x: float, z: float, **more: bool) -> None:
        x += float(camera.sway(z))
        if not camera.sees(x, z, 4):
            return
        ring = _CIRCLE * (0.45, 0.25) + (x, z)
        shadow = np.stack([ring[:, 0], np.zeros(12), ring[:, 1]], axis=1)
        items.append(_Item(z, partial(draw, x=x, z=z, **more), shadow))

    def pavement(kerb: float, wall: float) -> float:
        return float(rng.uniform(min(kerb, wall) + 0.4, max(kerb, wall) - 0.4))

    for kerb, wall in ((left, wall_left), (right, wall_right)):
        by_kerb = kerb + 0.35 * np.sign(kerb)
        for z in np.arange(rng.uniform(4, 14), 70, rng.uniform(9, 20)):
            put(_draw_lamp, by_kerb, float(z))
        if rng.random() < 0.4:
            for z in np.arange(rng.uniform(6, 14), 60, rng.uniform(7, 14)):
                put(_draw_tree, by_kerb + 0.3 * np.sign(kerb), float(z))
        for _ in range(rng.integers(1, 3)):
            put(_draw_sign, by_kerb, _depth(rng, 5, 35))
        for _ in range(rng.integers(0, 5)):
            x, z = pavement(kerb, wall), _depth(rng, 4.0, 30)
            for k in range(rng.integers(1, 4)):
                put(_draw_person, x + 0.55 * k, z + float(rng.uniform(-0.3, 0.3)))
        if rng.random() < 0.4:
            put(_draw_bicycle, pavement(kerb, wall), _depth(rng, 4.0, 14), ridden=False)
        if rng.random() < 0.65:
            put(_draw_bicycle, kerb - rng.uniform(0.6, 2.4) * np.sign(kerb), _depth(rng, 4.5, 15), ridden=True)
    for _ in range(rng.integers(0, 3)):
        put(_draw_person, float(rng.uniform(left, right)), _depth(rng, 6, 25))
    return items


def _draw_bonnet(canvas: _Canvas) -> None:
    height, width = canvas.ids.shape
    centre, radius = canvas.rng.uniform(0.4, 0.6) * width, canvas.rng.uniform(0.05, 0.12) * height
    shape = ((round(centre), height), (round(0.55 * width), round(radius)), 0, 0, 360)
    for top, shade in ((0, 0.3), (4, 0.45)):
        colour = np.clip(canvas.light.haze * shade, 0, 255).tolist()
        cv2.ellipse(canvas.image, (shape[0][0], height + top), shape[1], 0, 0, 360, colour, -1)
    cv2.ellipse(canvas.ids, *shape, (EGO_VEHICLE,), -1)


def _develop(canvas: _Canvas, height: int, width: int) -> Scene:
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


def _check_int(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r} ({type(value).__name__}); pass a plain whole number")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}; pass a larger {name}")


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
    _check_int("height", height, MIN_SIDE)
    _check_int("width", width, MIN_SIDE)
    rows, columns = height * _OVERSAMPLING, width * _OVERSAMPLING
    camera = _Camera(
        width=columns,
        focal=float(rng.uniform(0.8, 1.15)) * rows,
        horizon=float(rng.uniform(0.34, 0.52)) * rows,
        centre=float(rng.uniform(0.32, 0.68)) * columns,
        height=float(rng.uniform(1.3, 2.2)),
        bend=float(rng.normal(0, 0.0018)),
    )
    light, street = _make_light(rng), _make_street(rng)
    image, ids = np.zeros((rows, columns, 3), np.uint8), np.zeros((rows, columns), np.uint16)
    canvas = _Canvas(rng, camera, light, image, ids)
    items = _plan_sides(rng, camera, light, street) + _plan_cars(rng, camera, street) + _plan_small(rng, camera, street)
    _draw_sky(canvas)
    _draw_ground(canvas, street, [item.shadow for item in items if item.shadow is not None])
    for item in sorted(items, key=lambda entry: -entry.z):
        item.paint(canvas)
    if rng.random() < 0.5:
        _draw_bonnet(canvas)
    return _develop(canvas, height, width)


def _write(path: Path, data: bytes) -> None:
    """Write through a temporary file, so that a broken run leaves no half file under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial_path.write_bytes(data)
    os.replace(partial_path, path)


def _manifest_text(arguments: dict[str, int]) -> str:
    return json.dumps(arguments, indent=2) + "\n"


def _write_scene(root: Path, split: str, city: str, index: int, scene: Scene) -> list[Path]:
    train_ids = np.full(256, IGNORE_TRAIN_ID, dtype=np.uint8)
    train_ids[list(LABEL_ID_TO_TRAIN_ID)] = list(LABEL_ID_TO_TRAIN_ID.values())
    stem = f"{city}_{index:06d}_000019"
    paths = []
    for folder, suffix, array in (
        ("leftImg8bit", "leftImg8bit", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)),
        ("gtFine", "gtFine_labelIds", scene.label_ids),
        ("gtFine", "gtFine_labelTrainIds", train_ids[scene.label_ids]),
        ("gtFine", "gtFine_instanceIds", scene.instance_ids),
    ):
        paths.append(root / folder / split / city / f"{stem}_{suffix}.png")
        _write(paths[-1], cv2.imencode(".png", array)[1].tobytes())
    return paths


def generate_toy_streets(
    root: str | Path,
    num_train: int = 96,
    num_val: int = 32,
    height: int = 128,
    width: int = 256,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write a toy data set in the Cityscapes layout, unless the same one is there already.

    Image ``i`` of a split depends on ``seed``, the split, ``i`` and the size only, not on how many images are made.
    The manifest ``toy_streets.json`` is written last, so a run that was broken off is made anew by the next call.

    Args:
        root: Folder that gets ``leftImg8bit`` and ``gtFine``; made if it is not there.
        num_train: Number of training images, at least 0, dealt out to the training cities in turn.
        num_val: Number of validation images, at least 0.
        height: Image height in pixels, at least 32.
        width: Image width in pixels, at least 32.
        seed: Seed of the whole set, at least 0.
        overwrite: Replace a toy set made with other arguments instead of raising.

    Returns:
        ``root`` as a path.

    Raises:
        TypeError: If a count, a side or the seed is not an int.
        ValueError: If a count or the seed is negative or a side is below 32.
        FileExistsError: If ``root`` holds a set made with other arguments and ``overwrite`` is False.
    """
    root = Path(root)
    wanted = {"num_train": num_train, "num_val": num_val, "height": height, "width": width, "seed": seed}
    for name, value in wanted.items():
        _check_int(name, value, MIN_SIDE if name in ("height", "width") else 0)
    wanted["version"] = GENERATOR_VERSION
    manifest = root / MANIFEST_NAME
    if manifest.exists():
        held = manifest.read_text(encoding="utf-8")
        if held == _manifest_text(wanted):
            return root
        if not overwrite:
            raise FileExistsError(
                f"{root} holds toy streets made with {' '.join(held.split())}, but {json.dumps(wanted)} was asked for; "
                "choose another root, or pass overwrite=True to replace them"
            )
        manifest.unlink()
    kept: set[Path] = set()
    splits = (("train", TRAIN_CITIES, num_train), ("val", VAL_CITIES, num_val))
    for split_index, (split, cities, count) in enumerate(splits):
        for i in range(count):
            scene = render_scene(np.random.default_rng([seed, split_index, i]), height, width)
            kept.update(_write_scene(root, split, cities[i % len(cities)], i, scene))
        for city in cities:  # left over from a larger set
            for folder in ("leftImg8bit", "gtFine"):
                for path in set((root / folder / split / city).glob(f"{city}_*.png")) - kept:
                    path.unlink()
    _write(manifest, _manifest_text(wanted).encode())
    return root
