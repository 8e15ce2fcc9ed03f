"""``weights``: which backbones have their weights on this machine, and how to get those of the others."""

import click

from search.cli.options import echo


@click.command()
def weights() -> None:
    """Say which backbones have weights here, and how to get those of the others."""
    from search.repertoire.backbones.table import BACKBONES
    from search.repertoire.weights import is_cached, way_to, weights_folder

    here = [backbone for backbone in BACKBONES.values() if is_cached(backbone)]
    missing = [backbone.weights for backbone in BACKBONES.values() if backbone.weights and backbone not in here]
    files = [each for each in missing if each.url]
    echo(f"At hand: {', '.join(backbone.name for backbone in here)}")
    if files:
        echo(f"Not in {weights_folder()}: a search downloads what it asks for, unless --offline. By hand, put there:")
    for file in dict.fromkeys(files):
        echo(f"  {file.url}")
    packages = [each for each in missing if each.requirement]
    if packages:
        echo("In packages that are not installed:")
    for package in packages:
        echo(f"  {way_to(package)}")
