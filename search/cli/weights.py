"""``weights``: which backbones have their weights on this machine, and where those of the others come from."""

import click

from search.cli.options import echo


@click.command()
def weights() -> None:
    """Say which backbones have weights here, where the others' would lie, and from which address they come."""
    from search.repertoire.backbones.table import BACKBONES
    from search.repertoire.weights import is_cached, weights_folder

    here = [backbone for backbone in BACKBONES.values() if is_cached(backbone)]
    missing = [backbone.weights for backbone in BACKBONES.values() if backbone.weights and backbone not in here]
    echo(f"At hand: {', '.join(backbone.name for backbone in here)}")
    if missing:
        echo(f"Not in {weights_folder()}: a search downloads what it asks for, unless --offline. By hand, put there:")
    for file in dict.fromkeys(missing):
        echo(f"  {file.url}")
