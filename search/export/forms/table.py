"""The table of forms that ``export --also`` writes beside ``model.keras``, and what must be there for each."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from search.export.forms.form import Form
from search.export.forms.litert import LITERT
from search.export.forms.litert8 import LITERT8
from search.export.forms.onnx import ONNX
from search.export.forms.savedmodel import SAVEDMODEL
from search.system.errors import UserError

FORMS = {form.name: form for form in (LITERT, LITERT8, ONNX, SAVEDMODEL)}


def forms_named(text: str) -> tuple[Form, ...]:
    """Return the forms that a text names, with commas between them, each once.

    Raises UserError for a name that no form has, and where a package is missing, or too old, that writes or runs one.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in FORMS]
    if unknown:
        raise UserError(
            f"--also {unknown[0]!r}: there is no such form. Name some of {', '.join(FORMS)}, with commas between them."
        )
    forms = tuple(FORMS[name] for name in names)
    for form in forms:
        check_packages(f"--also {form.name}", form.needs, form.extra)
    return forms


def check_packages(what: str, needs: Iterable[str], extra: str) -> None:
    """Raise UserError where one of these requirements is not met; it names what needs it, and the extra that has it."""
    for need in map(Requirement, needs):
        try:
            present = version(need.name)
        except PackageNotFoundError:
            present = ""
        if not need.specifier.contains(present, prereleases=True) if present else True:
            state = f"and {present} is installed" if present else "which is not installed"
            raise UserError(
                f"{what} needs {need}, {state}. Install it with: pip install 'finetune-search[{extra}]', or "
                f"pip install -e '.[{extra}]' in a clone."
            )
