"""The space: what varies in a search, the file that it is read from, and what it may choose from on this machine.

A space asks ``at_hand([...])``; the driver first calls it to learn what is asked for, gets the
weights or says what is missing, and from then on the same names are given back, also after a
resume. Without a driver (in a notebook, say) what lies on this machine is given back.
"""

import ast
import contextlib
import dataclasses
import importlib
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.repertoire.architecture import Value, name_of
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import BACKBONES, backbone_of, check_name
from search.repertoire.networks import Fit
from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import Synthetic
from search.repertoire.weights import is_cached
from search.study import Study
from search.system.commands import command, first_command
from search.system.errors import UserError
from search.system.modules import Beside, beside_now
from search.system.texts import check_utf8
from search.system.validation import nearest

Space = Callable[[Any], Any]  # a function of hyperparameters that returns a Recipe, or a model and its Fit

FIELD_NAMED = re.compile(
    r"^(?:(?:Augment|Synthetic|Schedule|Mix|Mlp|LogisticRegression|Svm) )?(\w+)=|has no field '(\w+)'"
    r"|unexpected keyword argument '(\w+)'"
)
# DECISIONS: Image size is a choice from 96 px on
STEP, GRID, CAP = 1.4, 16, 224  # of image sizes: about twice the pixels, in px, and the most that suits a CPU
SMALL = 96  # px: pictures below it are icons and digits, of which a larger copy shows no more
PHOTOGRAPHS = 160  # px
OPTIONS_OF_HP = (
    *("name", "values", "value", "default", "ordered", "min_value", "max_value", "step", "sampling"),
    *("parent_name", "parent_values"),
)


@dataclass
class Hand:
    """What ``at_hand``, ``amounts_at_hand``, ``methods_at_hand`` and ``image_sizes`` answer.

    ``weights`` maps each backbone that may be used to the SHA-256 of its weights ("" for one
    that has none). While it is None, everything asked for is given and noted in ``requests``; ``own`` are those of
    them that are somebody's own, by name.
    ``synthetic`` tells whether there are synthetic images, and ``methods`` how they were made, None where that is not
    known yet. ``sizes`` are the image sizes in px, and ``sized``
    whether they were asked for.
    ``ready`` is false while a space file is being loaded: it is too early to ask.
    """

    ready: bool = True
    weights: dict[str, str] | None = None
    synthetic: bool = True
    sizes: tuple[int, ...] = ()
    backbones: tuple[str, ...] = ()
    sized: bool = False
    requests: list[str] = field(default_factory=list)
    own: dict[str, Backbone] = field(default_factory=dict)
    methods: tuple[str, ...] | None = None

    def settle(self, weights: dict[str, str], methods: tuple[str, ...] | None) -> None:
        """Take what there is from now on; ``methods`` are None where there are no synthetic images."""
        self.weights, self.synthetic, self.methods = weights, methods is not None, methods

    def ask(self, *backbones: Backbone) -> None:
        """Note that these backbones are wanted. Raises UserError where two of them have one name."""
        for backbone in backbones:
            if backbone.is_own and self.own.setdefault(backbone.name, backbone) != backbone:
                raise UserError(f"Two backbones of the space have the name {backbone.name!r}. Give each its own.")
        self.requests += [one for one in dict.fromkeys(each.name for each in backbones) if one not in self.requests]

    def backbone(self, name: str) -> Backbone | None:
        """Return the backbone of a name; None for one that is neither in the table nor asked for."""
        return self.own.get(name) or BACKBONES.get(name)


def hand_for(study: Study, image_size: int) -> Hand:
    """Return what a space is told before it is known what is at hand; ``image_size`` is that of the images."""
    return Hand(sizes=sizes_of(image_size, fixed=study.image_size is not None), backbones=study.backbones or ())


_hand: ContextVar[Hand | None] = ContextVar("hand", default=None)


@contextlib.contextmanager
def holding(hand: Hand) -> Iterator[Hand]:
    """Let ``at_hand`` answer from ``hand`` inside the block."""
    token = _hand.set(hand)
    try:
        yield hand
    finally:
        _hand.reset(token)


def at_hand(backbones: Iterable[Value]) -> list[Value]:
    """Return those of ``backbones`` that can be trained here, in the same order: names, or somebody's own.

    A tuple of several is one choice, which needs them all. Where a study says ``backbones``, these stand in for them.
    Raises UserError for an unknown name, and where nothing is left.
    """
    hand = _hand_in_time("at_hand")
    values: list[Value] = list(hand.backbones) if hand is not None and hand.backbones else list(backbones)
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    for name in (each for some in several for each in some if not isinstance(each, Backbone)):
        check_name("backbones" if hand is not None and hand.backbones else "at_hand backbone", name)
    every = [[backbone_of("at_hand backbone", each) for each in some] for some in several]
    if hand is not None and hand.weights is None:
        hand.ask(*(backbone for some in every for backbone in some))
    choices = [
        value for value, some in zip(values, every, strict=True) if all(_is_at_hand(each, hand) for each in some)
    ]
    if not choices:
        names = [name_of(value) for value in values]
        raise UserError(
            f"at_hand({names}): no weights of any of them are at hand. {command('backbones')} says how to get them. Or "
            "name others: --backbones EfficientNetLite0,Embedded takes those that pip has installed."
        )
    return choices


def _is_at_hand(backbone: Backbone, hand: Hand | None) -> bool:
    if hand is None:
        return is_cached(backbone)
    return hand.weights is None or backbone.name in hand.weights


def amounts_at_hand(amounts: Iterable[Any]) -> list[Any]:
    """Return ``amounts`` of synthetic images, or the one that is none where the study has no pool of them.

    That is 0 among numbers and ratios, and ``Synthetic()`` among amounts of that kind. Names that a space gives to
    amounts (also as the keys of a dict) begin with the name for none, by convention; a recipe that asks for images all
    the same is refused before the first trial. Raises UserError where there are no amounts. Among ratios 0 becomes 0.0.
    """
    choices = list(amounts)
    if not choices:
        raise UserError("amounts_at_hand([]) has no amounts. Give some, 0 first, as in amounts_at_hand([0, 8, 32]).")
    hand = _hand_in_time("amounts_at_hand")
    if hand is None or not hand.synthetic:
        if any(isinstance(choice, Synthetic) for choice in choices):
            return [Synthetic()]
        return choices[:1] if isinstance(choices[0], str) else [0]
    if {type(choice) for choice in choices if choice} == {float}:
        return [float(choice) for choice in choices]
    return choices


def methods_at_hand(methods: Iterable[str]) -> list[str]:
    """Return those of ``methods`` by which the study's synthetic images were made, in the same order.

    All of them where the study has no synthetic images, as no recipe can then ask for any. Raises UserError where there
    are images, but none by these methods.
    """
    choices = list(methods)
    hand = _hand_in_time("methods_at_hand")
    if hand is None or not hand.synthetic or hand.methods is None:
        return choices
    there = [name for name in choices if name in hand.methods]
    if not there:
        has = f"were made by {', '.join(hand.methods)}" if hand.methods else "do not say how they were made"
        raise UserError(
            f"methods_at_hand({choices}): the synthetic images of the study {has}. Name these, or make others: "
            + command("synthesize", "SPACE", to="POOL", method=choices[0] if choices else "compose")
        )
    return there


def image_sizes() -> list[int]:
    """Return the image sizes in px to choose from: as the images are, and one step up, at about twice the cost.

    As they are is their typical longest side, from 32 to 160 px; the step up is 1.4 times as much, at most 224 px.
    Pictures below 96 px have no step up. A study that names its image size has this one alone.
    """
    hand = _hand_in_time("image_sizes")
    if hand is None:
        return list(sizes_of(PHOTOGRAPHS))
    hand.sized = True
    return list(hand.sizes or sizes_of(PHOTOGRAPHS))


def sizes_of(native: int, *, fixed: bool = False) -> tuple[int, ...]:
    """Return what ``image_sizes`` gives for images of this side in px; that side alone where a study has fixed it."""
    step = min(CAP, GRID * round(STEP * native / GRID))
    return (native,) if fixed or native < SMALL or step <= native else (native, step)


def sizes_in_words(sizes: Sequence[int]) -> str:
    """Return what image sizes there are to choose from, and what each costs beside the first."""
    first, *more = sizes
    costs = "".join(f", or {size} px at {(size / first) ** 2:.1f} times the cost" for size in more)
    return f"Image sizes: {first} px{costs}"


def _hand_in_time(function: str) -> Hand | None:
    hand = _hand.get()
    if hand is not None and not hand.ready:
        raise UserError(f"{function}(…) is called where nothing is known yet: call it inside space(hp).")
    return hand


@dataclass(frozen=True)
class Built:
    """What a space gives that builds its networks itself: a compiled ``keras.Model``, and how it is fitted."""

    model: Any
    fit: Fit


@dataclass(frozen=True)
class SpaceFile:
    """A space file as read: its study, its space, its text and where it lies; or a function, which has a name only.

    ``modules`` has the texts of its own modules that it has imported so far, by their paths from ``home``, where they
    lie: None is beside it. ``beside`` holds them, and the files of own backbones.
    ``written`` is the study as the file has it, where ``study`` takes its place. ``prompts`` are texts by class, for
    synthetic images by a model that takes some.
    """

    study: Study
    space: Space
    text: str
    path: Path
    on_disk: bool = True
    modules: Mapping[str, str] = field(default_factory=dict)
    home: Path | None = None
    written: Study | None = None
    beside: Beside = field(default_factory=beside_now)
    prompts: Mapping[str, str] = field(default_factory=dict)


def read_space(path: Path, modules: Path | None = None, files: Mapping[str, str] | None = None) -> SpaceFile:
    """Return a space file as read: too early to ask what is at hand. The rest is as for ``load_space_file``."""
    with holding(Hand(ready=False)):
        return load_space_file(path, modules, files)


def load_space_file(path: Path, modules: Path | None = None, files: Mapping[str, str] | None = None) -> SpaceFile:
    """Run a space file and return what it defines.

    Its own modules lie in ``modules``, or else beside it; ``files`` are those of own backbones, where they were.

    Raises UserError where it is missing, cannot be run, or lacks a ``study`` or a ``space``.
    """
    text = _text(path)
    beside = Beside(modules or path.parent, files)
    beside.is_early = True
    with beside.importable():
        names = _run(path, text)
    beside.is_early = False
    study, space = names.get("study"), names.get("space")
    if study is None:
        raise UserError(f'{path} defines no study. Add a line such as study = Study(data="data/my-images").')
    if not isinstance(study, Study):
        raise UserError(f"{path}: study must be a Study(…), but is {type(study).__name__}.")
    if space is None:
        raise UserError(f"{path} defines no space. Add a function space(hp) that returns a Recipe(…).")
    if not callable(space):
        raise UserError(f"{path}: space must be a function space(hp), but is {type(space).__name__}.")
    if callable(study.data) and not str(getattr(study.data, "__module__", "")).startswith("search."):
        study = study.replace(data=beside.calling(study.data))
    file = SpaceFile(study, beside.calling(space), text, path, modules=beside.texts, home=modules, beside=beside)
    return replace(file, prompts=_prompts(path, names.get("prompts", {})))


def _prompts(path: Path, prompts: Any) -> dict[str, str]:
    """Return the prompts of a space file. Raises UserError unless they are texts by class."""
    if not isinstance(prompts, dict) or not all(isinstance(each, str) for pair in prompts.items() for each in pair):
        raise UserError(f'{path}: prompts must be texts by the names of classes, as in {{"cat": "a photo of a cat"}}.')
    return dict(prompts)


def _text(path: Path) -> str:
    """Return the text of a space file. Raises UserError where it cannot be read."""
    check_utf8(str(path), "The space file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"There is no space file {path} (in {Path.cwd()}). With the default one: {first_command('run')}"
        ) from None
    except IsADirectoryError:
        raise UserError(
            f"{path} is a folder, where a space file is wanted, such as spaces/finetune.py. If these are your images: "
            f"{first_command('check', data=path)}"
        ) from None
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is no text in UTF-8, where a space file is wanted, such as spaces/finetune.py."
        ) from None
    except OSError as error:
        raise UserError(f"The space file {path} cannot be read: {error.strerror}.") from None


def _run(path: Path, text: str) -> dict[str, Any]:
    if "keras" in text:  # it would load TensorFlow, which says much on the way
        importlib.import_module("search.system.tf")
    try:
        return runpy.run_path(str(path))
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{error.filename or path}{line}: {error.msg}.\n    {(error.text or '').strip()}") from None
    except UserError as error:
        raise UserError(f"{path}{_line(error, path)}: {error}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 a space file is anyone's code
        raise UserError(f"{path}{_line(error, path)}: {_in_words(error)}") from None


def _line(error: BaseException, path: Path) -> str:
    """Return the line of a space file from which an error came: that of the field, where the error names one."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if not lines or lines[-1] is None:
        return ""
    return f", line {_line_of_field(str(error), path, lines[-1])}"


def _line_of_field(message: str, path: Path, line: int) -> int:
    """Return the line of the field that a message names, in the call that stands at ``line`` and may have many."""
    named = FIELD_NAMED.search(message)
    if named is None:
        return line
    field = next(name for name in named.groups() if name)
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8-sig"))) if isinstance(node, ast.Call)]
    fields = [word for call in calls if call.lineno <= line <= (call.end_lineno or line) for word in call.keywords]
    return next((word.value.lineno for word in fields if word.arg == field and word.value.lineno >= line), line)


def _in_words(error: BaseException) -> str:
    """Return what an error of anyone's code says, with the nearest name where one is misspelt."""
    near = None
    if isinstance(error, AttributeError) and isinstance(error.name, str):
        near = nearest(error.name, [name for name in dir(error.obj) if not name.startswith("_")])
    elif isinstance(error, TypeError) and (named := FIELD_NAMED.search(str(error))):
        near = nearest(next(name for name in named.groups() if name), OPTIONS_OF_HP)
    return f"{type(error).__name__}: {error}" + (f". Did you mean {near!r}?" if near else "")


def build_recipe(space: Space, hp: Any, image_size: int, source: Path) -> Recipe | Built:
    """Return ``space(hp)``, with the study's image size where the recipe names none; a model with its Fit.

    Raises UserError where the space raises or returns anything else.
    """
    try:
        recipe: Any = space(hp)
    except UserError as error:
        raise UserError(f"{source}{_line(error, source)}: {error}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 likewise
        raise UserError(f"{source}{_line(error, source)}, in space(hp): {_in_words(error)}") from None
    model, fit = recipe if isinstance(recipe, tuple) and len(recipe) == 2 else (recipe, Fit())
    if _is_model(model) and isinstance(fit, Fit):
        return Built(model, fit)
    if not isinstance(recipe, Recipe):
        what = ", ".join(type(each).__name__ for each in (recipe if isinstance(recipe, tuple) else (recipe,)))
        raise UserError(
            f"{source}: space(hp) must return a Recipe(…), but returned {what}. Or let it return a compiled "
            "keras.Model, and how it is fitted: return model, Fit(epochs=10)."
        )
    return recipe if recipe.image_size else dataclasses.replace(recipe, image_size=image_size)


def _is_model(value: Any) -> bool:
    keras = sys.modules.get("keras")  # whoever has a model has loaded it
    return keras is not None and isinstance(value, keras.Model)
