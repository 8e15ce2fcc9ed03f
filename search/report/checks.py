"""An audit as people see it: lines in a terminal, and a page with the pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader
from rich.console import Console
from rich.text import Text

from search.audit.inspection import DuplicateGroup, count
from search.data.dataset import Dataset
from search.data.finding import ERROR, NOTE, WARNING
from search.report.thumbnails import in_proportion, jpeg
from search.system.clock import duration
from search.system.files import write_text
from search.training.cost import ALL_OF_SPACE

if TYPE_CHECKING:
    from search.check import CheckResult  # which loads TensorFlow

FILES_NAMED = 4
GROUPS_SHOWN = 200
IMAGES_SHOWN = 24
STYLES = {ERROR: "bold red", WARNING: "bold yellow", NOTE: "bold"}


def show(checked: "CheckResult", console: Console) -> None:
    """Print the findings, gravest first, each with its files and the way out; then flattery and cost."""
    console.print(Text(kinds(checked.audit.facts)), soft_wrap=True)
    for finding in checked.audit.findings:
        head = (f"{finding.level.capitalize()}, {finding.topic}:", STYLES[finding.level])
        console.print(Text.assemble(head, f" {finding.text}."), soft_wrap=True)
        if finding.files:
            more = len(finding.files) - FILES_NAMED
            rest = f" and {more} more" if more > 0 else ""
            console.print(Text(f"    {', '.join(finding.files[:FILES_NAMED])}{rest}", style="dim"), soft_wrap=True)
        if finding.way_out:
            console.print(Text(f"    {finding.way_out}"), soft_wrap=True)
    if not checked.audit.findings:
        console.print("Nothing odd was found.")
    for line in lines(checked):
        console.print(Text(line), soft_wrap=True)


def kinds(facts: dict[str, Any]) -> str:
    """Return what kinds of files there are, in a line."""
    counted = [f"{name} {number}" for kind in ("formats", "modes") for name, number in facts[kind].items()]
    side = facts["longest_side"]
    sizes = f"longest side {side['smallest']} to {side['largest']} px, median {side['median']:g}"
    odd = [
        f"{facts[what]} {words}"
        for what, words in (("turned", "turned by EXIF"), ("animated", "with several pages or frames"))
        if facts[what]
    ]
    return "Files: " + ", ".join([*counted, sizes, *odd])


def lines(checked: "CheckResult") -> list[str]:
    """Return how much random folds would flatter, and what the search would cost, in sentences."""
    sentences = [f"{checked.flattery}."] if checked.flattery else []
    if checked.cost:
        trials, runs = count(checked.trials, "trial"), count(len(checked.inputs.plan.folds), "run")
        no_more = f", {ALL_OF_SPACE}" * (checked.trials < checked.inputs.study.max_trials)
        sentences.append(
            f"Estimated cost: {duration(checked.cost.low)} to {duration(checked.cost.high)} for "
            f"{trials} of {runs}{no_more} (rough)."
        )
    if checked.views:
        most = max(checked.views.values())
        takes = f"{duration(most)} at most" if most >= 1 else "less than a second"
        sentences.append(
            "Each pair of augmentation policy and strength needs views of its own, once for each backbone and depth. "
            f"There {'is' if len(checked.views) == 1 else 'are'} {count(len(checked.views), 'pair')}; the views of a "
            f"pair take {takes}."
        )
    return sentences


def write_page(path: Path, checked: "CheckResult") -> None:
    """Write a check as one HTML file that needs no other, with thumbnails of the duplicates."""
    audit, dataset, thumbnails = checked.audit, checked.inputs.dataset, checked.inputs.thumbnails.pixels
    templates = Environment(
        loader=PackageLoader("search.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    groups = [_group(group, dataset, thumbnails) for group in audit.duplicates]
    groups.sort(key=lambda group: (not group["conflict"], len(group["splits"]) < 2))
    page = templates.get_template("check.html").render(
        facts=audit.facts,
        kinds=kinds(audit.facts),
        findings=audit.findings,
        lines=lines(checked),
        groups=groups[:GROUPS_SHOWN],
        more=max(0, len(groups) - GROUPS_SHOWN),
        largest_class=max(audit.facts["classes"].values()),
    )
    write_text(path, page)


def _group(group: DuplicateGroup, dataset: Dataset, thumbnails: np.ndarray) -> dict[str, Any]:
    labels = dataset.labels[list(group.rows)]
    images = group.rows[:IMAGES_SHOWN]
    return {
        "how": "equal files" if group.equal else " / ".join(group.how),
        "conflict": len(set(labels.tolist())) > 1,
        "splits": sorted({split for split in dataset.table["split"].iloc[list(group.rows)] if split}),
        "hidden": len(group.rows) - len(images),
        "images": [_image(row, dataset, thumbnails[row]) for row in images],
    }


def _image(row: int, dataset: Dataset, thumbnail: np.ndarray) -> dict[str, Any]:
    """Return an image in its own proportions again: thumbnails are squares."""
    width, height = in_proportion(dataset.facts[row], len(thumbnail))
    return {
        "id": dataset.ids[row],
        "label": dataset.classes[dataset.labels[row]],
        "width": width,
        "height": height,
        "data": jpeg(thumbnail),
    }
