"""The Hugging Face Hub: ``export --hub user/name`` puts the finished folder there, where nobody else sees it.

Without that option nothing is asked of the network, and nothing sent.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from search.export.changed import CHANGES
from search.export.forms.table import check_packages
from search.export.metadata import weight_licences
from search.export.trained import TRAINED_ON
from search.repertoire.backbones.backbone import OF_IMAGENET
from search.repertoire.networks import AnyRecipe
from search.repertoire.recipe import Recipe
from search.system.commands import quoted
from search.system.errors import UserError, with_kind

NEEDS, EXTRA = ("huggingface_hub>=1.0",), "huggingface"
TOKENS = "https://huggingface.co/settings/tokens"
LEFT_OUT = {TRAINED_ON: "shows the images that trained the model", CHANGES: "names them"}
OWN_FILES = {".gitattributes"}  # of the Hub, in a repository that is new


def check_repository(name: str) -> None:
    """Ask the Hub whether a model may be put there as ``name``, user/name; nothing is made.

    Raises UserError, with the way out, where the package is missing, the name is none, there is no token or one that
    may not write, the Hub cannot be reached, or the repository holds something.
    """
    check_packages("--hub", NEEDS, EXTRA)
    from huggingface_hub import get_token

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise UserError(f"--hub {name!r} is no name of a repository. Write user/name.")
    if get_token() is None:
        raise UserError(
            f"--hub needs a token of the Hugging Face Hub, and there is none here. Make one that may write at "
            f"{TOKENS}, then run `hf auth login`, or put it into HF_TOKEN."
        )
    _check_rights(name)


def _check_rights(name: str) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi()
    try:
        me: dict[str, Any] = api.whoami()
        present = set(api.list_repo_files(name)) if api.repo_exists(name) else set()
    except HFValidationError as error:
        raise UserError(f"--hub {name!r} is no name of a repository: {error}") from None
    except Exception as error:  # noqa: BLE001 what lies between here and the Hub can raise anything
        raise UserError(
            f"The Hugging Face Hub ({api.endpoint}) does not answer as it should ({with_kind(error)}). Look at the "
            f"network and at your token ({TOKENS}), or leave out --hub: nothing was trained yet."
        ) from None
    owners = [me["name"], *(each["name"] for each in me.get("orgs", []))]
    if name.split("/", maxsplit=1)[0] not in owners:
        raise UserError(f"--hub {name}: your token is of {owners[0]}, who may write for {', '.join(owners)} alone.")
    if me.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise UserError(f"Your token of the Hugging Face Hub may only read. Make one that may write at {TOKENS}.")
    if present - OWN_FILES:
        raise UserError(
            f"{name} on the Hub is not empty. Name a new repository with --hub: nothing is overwritten. To put a model "
            "there all the same, leave out --hub, and use `hf upload` on the folder."
        )


def upload(folder: Path, name: str, say: Callable[[str], None]) -> str:
    """Put an export into a private repository of the Hub, but for the pictures of its images; return its address.

    ``say`` is told what is sent. Raises UserError, with the line that tries again, where that fails.
    """
    from huggingface_hub import HfApi

    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    size = sum(path.stat().st_size for path in files) / 1e6
    say(f"Sending {len(files)} files ({size:.1f} MB) to {name}: {', '.join(_names(folder, files))}")
    for left, reason in LEFT_OUT.items():
        if (folder / left).exists():
            say(f"{left} stays here: it {reason}")
    api = HfApi()
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            folder_path=folder,
            ignore_patterns=list(LEFT_OUT),
            commit_message="Put the exported model here",
        )
    except Exception as error:  # noqa: BLE001 likewise
        leaving = " ".join(f"--exclude {each}" for each in LEFT_OUT)
        raise UserError(
            f"The upload to {name} failed ({with_kind(error)}). The model is whole in {folder}. To try again: "
            f"hf upload {name} {quoted(str(folder))} . --private {leaving}"
        ) from None
    return str(address)


def _names(folder: Path, files: Sequence[Path]) -> list[str]:
    return list(dict.fromkeys(path.relative_to(folder).parts[0] for path in files))


def before_it_is_public(recipes: Sequence[AnyRecipe]) -> Iterator[str]:
    """Yield what to settle before a model of these networks is shown to everybody."""
    known = weight_licences(recipes)
    if not known:
        yield "No licence is given, as no weights were pretrained: choose one, and write it into README.md."
    if "" in known:
        yield "The licence of its pretrained weights is not known to this program: find out whether you may share them."
    backbones = [each for recipe in recipes if isinstance(recipe, Recipe) for each in recipe.backbones]
    if any(each.weights and not each.weights.packaged for each in backbones):
        yield OF_IMAGENET
    yield "README.md and recipe.json name your classes, your data set and how many images there were."
