"""``preview``: pictures of what would be trained on."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import BACKBONES, CACHE, DATA, OFFLINE, SEED, SPACE, SYNTHETIC, echo, of_the_data


@click.command()
@SPACE
@click.option(
    "--to",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A new or empty folder, or one of an earlier preview. [default: <space>-<data>-preview]",
)
@click.option(
    "--images", metavar="N", type=click.IntRange(1), default=9, show_default=True, help="How many images are shown."
)
@click.option("--class", "class_name", metavar="NAME", help="Show images of this class alone.")
@DATA
@of_the_data
@BACKBONES
@SYNTHETIC
@CACHE
@SEED
@OFFLINE
def preview(space: Path, to: Path | None, images: int, class_name: str | None, **options: Any) -> None:
    """Show your images as SPACE would train on them, in contact sheets (PNG) and a page (HTML).

    There is a part for each augmentation policy with its strength and options, one for each way of mixing batches, and
    one of synthetic images beside their sources, if there are any.
    """
    from search.data.loading import read_inputs, read_synthetic
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options, name_of, overridden
    from search.preview.page import PAGE, check_target, write_preview
    from search.space import read_space
    from search.system.texts import check_utf8

    check_utf8(str(to), "--to")
    file, choices = read_space(space), Options(**options)
    study = overridden(file.study, choices)
    folder = to or Path(f"{space.stem}-{name_of(study.data_folder())}-preview")
    check_target(folder, study.data_folder())  # before the images are read
    with open_screen(wide_console()) as screen:
        inputs = read_inputs(study, choices, screen.say, screen.progress)
        pool = read_synthetic(inputs, choices, screen.say, screen.progress)
        screen.say("Loading Keras Tuner")
        from search.preview.choices import choices_of
        from search.preview.pictures import camera_for, sections_of

        camera = camera_for(inputs, images, class_name, file.beside.home())
        drawn = choices_of(file, inputs, pool, screen.say, offline=choices.offline)
        title, lines = f"Preview of {space.name} on {name_of(inputs.dataset.source)}", drawn.sentences
        sections = list(sections_of(drawn, camera, pool))
        sheets = write_preview(title, lines, sections, folder)
    for line in lines:
        echo(line)
    echo(f"Preview: {folder / PAGE}, and {len(sheets)} contact sheets beside it")
