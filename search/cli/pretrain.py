"""``pretrain``: make the weights of the backbone Embedded from generated pictures."""

from pathlib import Path

import click

from search.repertoire.backbones.table import BACKBONES
from search.system.commands import command
from search.system.errors import UserError
from search.system.validation import one_of

TEACHERS = [
    backbone.name
    for backbone in BACKBONES.values()
    if backbone.weights and not backbone.weights.packaged and backbone.cuts  # whose middle maps are learnt too
]


def _known(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        one_of("--teacher", name, TEACHERS, listing=command("backbones"))
    return names


@click.command()
@click.option(
    "--to", "file", metavar="FILE", type=click.Path(path_type=Path), required=True, help="A new file, such as my.npz."
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="NAME",
    callback=_known,
    default=["MobileNetV2_0.35", "MobileNet_0.25"],
    show_default=True,
    help="A backbone to learn from, whose weights are here; can be given several times.",
)
@click.option(
    "--pictures", type=click.IntRange(128), default=48_000, show_default=True, help="How many pictures are generated."
)
@click.option(
    "--passes", type=click.IntRange(1), default=40, show_default=True, help="How often each of them is learnt from."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=7, show_default=True, help="Seed of all that is drawn."
)
@click.option("--slots", type=click.IntRange(1), help="Processes that draw pictures. [default: as many as cores]")
def pretrain(file: Path, teachers: tuple[str, ...], pictures: int, passes: int, seed: int, slots: int | None) -> None:
    """Make the weights of the backbone Embedded anew, from generated pictures and from no photograph.

    This takes an hour or two, 4.7 GB of disk and 6 GB of memory. It can be interrupted; the same line again goes on.
    What is done lies in FILE.part.
    """
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.pretraining.plan import PretrainingPlan, work_folder
    from search.system.digests import file_sha256
    from search.system.files import LOCK, locked
    from search.system.machine import cores

    plan = PretrainingPlan(tuple(dict.fromkeys(teachers)), pictures, passes, seed)
    folder = work_folder(plan, file)
    with locked(file.with_name(f".{file.name}{LOCK}"), wait=False) as is_free:
        if not is_free:
            raise UserError(f"A pretraining is at work in {folder} already.")
        click.echo("Loading TensorFlow")
        from search.pretraining.pretrain import pretrain as learn

        with open_screen(wide_console()) as screen:
            if any(folder.glob("*.npy")):
                screen.say(f"Going on with what is in {folder}")
            learn(plan, file, folder, slots or cores(), screen.say, screen.progress)
    click.echo(f"Weights: {file}, SHA-256 {file_sha256(file)}")
