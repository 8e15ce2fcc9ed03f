"""Generated pictures for a pretraining: lit, textured objects before textured backgrounds, through a camera.

No photograph goes into them. That pictures from simple random processes teach features that
photographs can use was shown by Kataoka et al. 2020 (fractals), Baradad et al. 2021 ("Learning to
See by Looking at Noise") and 2022 ("Procedural Image Programs"). A *layer* is an object to be laid
on a scene: its colours (side, side, 3) and how much it covers (side, side), both float32 in 0..1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from search.pretraining.textures import Field, Texture, any_field, any_texture, blurred, grid, lit, palette, turned

EDGE = 24.0  # how steeply a form ends, in units of half a side


@dataclass(frozen=True)
class Pose:
    """Where a form lies: its centre and its half size in units of half a side, its angle in radians."""

    x: float
    y: float
    size: float
    angle: float

    def local(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of every pixel as the form sees them: it reaches from about -1 to 1."""
        x, y = grid(side)
        x, y = turned(x - np.float32(self.x), y - np.float32(self.y), self.angle)
        return x / np.float32(self.size), y / np.float32(self.size)


@dataclass(frozen=True)
class Form:
    """What an object looks like without its colours.

    ``covers`` is how much of each pixel it covers, ``height`` how far it rises towards the camera,
    both (side, side) in 0..1.
    """

    covers: Field
    height: Field


def _within(distance: np.ndarray, size: float) -> Field:
    """Return the cover of where ``distance`` (in units of the form's size) is below 1, with smooth edges."""
    return np.clip(0.5 + (1 - distance) * size * EDGE, 0, 1).astype(np.float32)


def _dome(distance: np.ndarray) -> Field:
    return np.sqrt(np.clip(1 - distance**2, 0, 1)).astype(np.float32)


def blob(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return a rounded form with a wavy outline: pebbles, fruit, leaves, heads."""
    x, y = pose.local(side)
    y = y / np.float32(rng.uniform(0.35, 1))
    angle, radius = np.arctan2(y, x), np.ones_like(x)
    for wave in range(2, 6):
        radius = radius + rng.normal(0, 0.35 / wave**1.5) * np.sin(wave * angle + rng.uniform(0, 7))
    distance = np.hypot(x, y) / np.maximum(radius, 0.2)
    return Form(_within(distance, pose.size), _dome(distance))


def flower(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return a form with rays around a centre: petals, stars, gears, splashes."""
    x, y = pose.local(side)
    rays, depth, sharp = rng.integers(3, 14), rng.uniform(0.2, 0.75), rng.uniform(0.4, 3)
    wave = np.abs(np.cos(0.5 * rays * np.arctan2(y, x))) ** sharp
    distance = np.hypot(x, y) / (1 - depth + depth * wave)
    return Form(_within(distance, pose.size), (0.5 * _dome(distance) + 0.5 * wave).astype(np.float32))


def polygon(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return a flat form with straight edges, at times bent: boards, paper, crushed boxes."""
    x, y = pose.local(side)
    corners = rng.integers(3, 7)
    turns = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    walls = [(np.cos(turn) * x + np.sin(turn) * y) / rng.uniform(0.45, 0.9) for turn in turns]
    distance = np.maximum.reduce(walls)
    tilt = 0.5 + 0.4 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y)
    return Form(_within(distance, pose.size), np.clip(tilt, 0, 1).astype(np.float32))


def vessel(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return a turned form, the same on both sides of its axis: bottles, cans, bowls, legs of chairs."""
    x, y = pose.local(side)
    knots = np.linspace(-1, 1, int(rng.integers(3, 8)))
    widths = rng.uniform(0.12, 0.6, len(knots))
    if rng.random() < 0.4:
        widths[:] = widths[0]
    width = np.interp(y, knots, widths).astype(np.float32)
    distance = np.maximum(np.abs(x) / width, np.abs(y))
    return Form(_within(distance, pose.size), _dome(np.abs(x) / width))


def strokes(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return one to five curves of a pen: letters, twigs, limbs, cables."""
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    width = max(1, int(side * pose.size * rng.uniform(0.03, 0.16)))
    for _ in range(int(rng.integers(1, 6))):
        _curve(draw, rng.uniform(-1, 1, (4, 2)), pose, side, width)
    return _raised(canvas, width)


def creature(rng: np.random.Generator, side: int, pose: Pose) -> Form:
    """Return a chain of rounded parts with limbs on both sides: insects, animals, plants, machines."""
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    parts = int(rng.integers(1, 5))
    centres = np.linspace(-0.7, 0.7, parts) if parts > 1 else np.zeros(1)
    radii = rng.uniform(0.15, 0.45, parts)
    thin, reach = max(1, int(side * pose.size * rng.uniform(0.01, 0.08))), rng.uniform(0.4, 1.2)
    for _ in range(int(rng.integers(0, 5))):
        start, bend, end = (rng.uniform(-0.7, 0.7), 0.0), rng.uniform(0.2, 0.8, 2), rng.uniform(-1, 1)
        for mirror in (-1, 1):
            knee = (start[0] + (end - start[0]) * bend[0], mirror * reach * bend[1])
            _curve(draw, np.array([start, knee, knee, (end, mirror * reach)]), pose, side, thin)
    for centre, radius in zip(centres, radii, strict=True):
        around = np.linspace(0, 2 * np.pi, 24)
        outline = np.stack([centre + 1.3 * radius * np.cos(around), radius * np.sin(around)], -1)
        draw.polygon([tuple(point) for point in _placed(outline, pose, side)], fill=255)
    return _raised(canvas, side * pose.size * 0.3)


FORMS: tuple[Callable[[np.random.Generator, int, Pose], Form], ...] = (
    blob,
    blob,
    flower,
    polygon,
    vessel,
    strokes,
    creature,
    creature,
)


def _placed(points: np.ndarray, pose: Pose, side: int) -> np.ndarray:
    """Return points (n, 2) of a form in pixels."""
    x, y = turned(points[:, 0], points[:, 1], -pose.angle)
    return (np.stack([pose.x + pose.size * x, pose.y + pose.size * y], -1) + 1) * side / 2


def _curve(draw: ImageDraw.ImageDraw, corners: np.ndarray, pose: Pose, side: int, width: int) -> None:
    """Draw the Bézier curve of four corners (4, 2)."""
    t = np.linspace(0, 1, 16)[:, None]
    basis = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    draw.line([tuple(point) for point in _placed(basis @ corners, pose, side)], fill=255, width=width, joint="curve")


def _raised(canvas: Image.Image, width: float) -> Form:
    """Return a drawing as a form that rises from its edges to ``width`` pixels inside."""
    ink = np.asarray(canvas)
    covers = blurred(ink.astype(np.float32) / 255, 0.6)
    depth = np.clip(cv2.distanceTransform(ink, cv2.DIST_L2, 3) / max(width, 1), 0, 1)
    return Form(covers, _dome(1 - depth))


def eyes(rng: np.random.Generator, texture: Texture, pose: Pose) -> Texture:
    """Return the texture with one or two eyes at the pose: dark discs in lighter ones, with a glint."""
    side = len(texture)
    half_gap, size = rng.uniform(0.2, 0.6), rng.uniform(0.06, 0.22)
    light, dark = palette(rng, 1)[0] * 0.5 + 0.5, palette(rng, 1)[0] * 0.3
    for at in (-half_gap, half_gap)[: int(rng.integers(1, 3))]:
        x, y = pose.local(side)
        distance = np.hypot(x - at, y + 0.2) / size
        for edge, colour in ((1.0, light), (rng.uniform(0.4, 0.95), dark)):
            covers = _within(distance / edge, pose.size * size)[..., None]
            texture = texture * (1 - covers) + colour * covers
        glint = _within(np.hypot(x - at + 0.3 * size, y + 0.2 + 0.3 * size) / (0.25 * size), pose.size * size)
        texture = np.maximum(texture, glint[..., None])
    return texture


def laid(
    rng: np.random.Generator, scene: Texture, form: Form, texture: Texture, pose: Pose, light: np.ndarray
) -> Texture:
    """Return the scene with a lit object of this form and texture on it, and its shadow."""
    side = len(scene)
    if rng.random() < 0.2:
        texture = eyes(rng, texture, pose)
    height = form.height
    if rng.random() < 0.3:
        height = height + rng.uniform(0.02, 0.3) * any_field(rng, side)
    if rng.random() < 0.8:
        texture = lit(texture, height, light, rng.uniform(0.3, 1.2) * pose.size * side / 2)
    if rng.random() < 0.25:
        texture = texture + rng.uniform(0.3, 1) * _gloss(height, light, side * pose.size)[..., None]
    covers = form.covers
    if rng.random() < 0.6:
        away = -light[:2] * rng.uniform(0, 0.15) * side
        moved = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float32)
        shadow = cv2.warpAffine(blurred(covers, rng.uniform(0.5, 6)), moved, (side, side))
        scene = scene * (1 - rng.uniform(0.2, 0.7) * shadow[..., None])
    if rng.random() < 0.1:
        covers = covers * rng.uniform(0.3, 0.8)  # glass, plastic, wings
    return scene * (1 - covers[..., None]) + texture * covers[..., None]


def _gloss(height: Field, light: np.ndarray, scale: float) -> Field:
    """Return where a smooth surface of this height mirrors the light (Phong 1975)."""
    slope_y, slope_x = np.gradient(blurred(height, 1.0) * scale / 2)
    normal = np.stack([-slope_x, -slope_y, np.ones_like(slope_x)], -1)
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    half = light + np.array([0, 0, 1])
    return np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 30


def backdrop(rng: np.random.Generator, side: int, light: np.ndarray) -> Texture:
    """Return a background: a texture, at times meeting another at a horizon or out of focus."""
    scene = any_texture(rng, side, light)
    if rng.random() < 0.25:
        _, y = Pose(0, rng.uniform(-0.5, 0.5), 1, rng.normal(0, 0.2)).local(side)
        below = np.clip(y * rng.choice([2.0, 30.0]) + 0.5, 0, 1)[..., None]
        scene = scene * (1 - below) + any_texture(rng, side, light) * below
    if rng.random() < 0.4:
        scene = blurred(scene, rng.uniform(0.5, 6) * side / 128)
    return scene


def photographed(rng: np.random.Generator, scene: Texture) -> np.ndarray:
    """Return the scene as a camera gives it (side, side, 3) uint8: uneven light, tint, contrast, blur, grain."""
    side = len(scene)
    x, y = turned(*grid(side), rng.uniform(0, 2 * np.pi))
    scene = scene * (1 + rng.uniform(0, 0.4) * x - rng.uniform(0, 0.25) * (x**2 + y**2))[..., None]
    scene = scene * (1 + rng.normal(0, 0.08, 3)) * np.exp(rng.normal(0.15, 0.25))
    scene = np.clip(scene, 0, 1) ** np.exp(rng.normal(0, 0.25))
    if rng.random() < 0.1:
        scene = np.broadcast_to(scene.mean(-1, keepdims=True), scene.shape)
    if rng.random() < 0.35:
        scene = blurred(scene, rng.uniform(0.3, 1.6) * side / 128)
    scene = scene + rng.normal(0, rng.uniform(0, 0.04), scene.shape)
    return (np.clip(scene, 0, 1) * 255).round().astype(np.uint8)


def scene(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return one generated picture (side, side, 3) uint8: none to many objects, one of them often large."""
    light = np.array([*rng.normal(0, 0.6, 2), 0.7])
    light = light / np.linalg.norm(light)
    picture = backdrop(rng, side, light)
    count = int(rng.choice([0, 1, 1, 1, 2, 2, 3, 4, 6, 9, 14]))
    largest = rng.uniform(0.35, 1.2)
    materials = [any_texture(rng, side, light) for _ in range(min(count, int(rng.integers(1, 5))))]
    for place in range(count):
        size = largest if place == count - 1 else largest * rng.uniform(0.3, 1)
        x, y = rng.normal(0, 0.25 if count < 3 else 0.5, 2)
        pose = Pose(x, y, size, rng.uniform(0, 2 * np.pi))
        form = FORMS[rng.integers(len(FORMS))](rng, side, pose)
        material = np.roll(materials[place % len(materials)], rng.integers(side, size=2), (0, 1))
        picture = laid(rng, picture, form, material, pose, light)
    return photographed(rng, picture)
