"""What a card says of a model's probabilities: whether a temperature mends them, and when not to answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.analysis.certainty import Certainty
from search.analysis.stats.confidence import AT_REST, Step, step_for
from search.analysis.stats.scores import proportion
from search.report.words import limits as between
from search.system.errors import UserError

SHARES = (0.01, 0.05, 0.1)  # of wrong answers, that a card tells


@dataclass(frozen=True)
class Doubt:
    """Below which ``probability`` a model had better not answer, for at most a ``share`` of wrong answers.

    Out of fold ``answered`` of its ``answers`` are left by that, of which ``wrong`` are wrong. They tell as much as
    ``groups`` separate images.
    """

    share: float
    probability: float
    answered: int
    answers: int
    wrong: int
    groups: int

    @property
    def told(self) -> str:
        """What that came to out of fold, in words."""
        worth = self.groups / self.answers
        of = proportion(self.wrong * worth, self.answered * worth)
        return (
            f"out of fold that left {1 - self.answered / self.answers:.0%} of images without an answer, and "
            f"{self.wrong} of {self.answered} answers were wrong ({between(of)})"
        )


def doubt_of(about: Mapping[str, Any], share: float, folder: Path) -> Doubt:
    """Return when the model of a recipe.json had better not answer. Raises UserError where it does not say that."""
    known = about.get("unsure")
    if not known:
        raise UserError(
            f"{folder} does not say which of its probabilities can be trusted: it was exported by an earlier version, "
            "or from a trial that is not complete. Export a complete trial again, or leave out --unsure."
        )
    if not 0 < share < 1:  # also one that is no number
        raise UserError(f"--unsure {share} is no share of wrong answers. Give one between 0 and 1, such as 0.05.")
    found = step_for([Step(*step) for step in known["steps"]], share)
    if found is None:
        surest = Step(*known["steps"][0])
        raise UserError(
            f"No probability is high enough for at most {100 * share:g} wrong in 100 answers: out of fold "
            f"{surest.wrong} of the {surest.answered} surest answers were wrong. Allow more with --unsure."
        )
    answers = known["answers"]
    return Doubt(share, found.probability, found.answered, answers, found.wrong, known.get("groups", answers))


def sure_lines(sure: Certainty | None) -> Iterator[str]:
    """Yield what is known of a model's probabilities, in sentences; nothing where nothing is known."""
    if sure is None:
        return
    temperature = sure.temperature
    if temperature.value == AT_REST:
        yield (
            f"Its probabilities are as they were trained: a temperature would not lower their log-loss of "
            f"{temperature.raw:.4f} on images that did not fit it."
        )
    else:
        yield (
            f"Its logits are divided by a temperature of {temperature.value:.2f}, which makes its probabilities truer: "
            f"the log-loss falls from {temperature.raw:.4f} to {temperature.nested:.4f} on images that did not fit it. "
            "No answer changes."
        )
    everything = sure.steps[-1]
    yield f"Out of fold {everything.wrong} of {everything.answered} answers were wrong."
    shares = [share for share in SHARES if share * everything.answered < everything.wrong]
    for share in shares:
        step = step_for(sure.steps, share)
        if step is None:
            yield f"No probability is high enough for at most {100 * share:.0f} wrong in 100 answers."
        else:
            doubt = Doubt(share, step.probability, step.answered, sure.answers, step.wrong, sure.groups)
            yield (
                f"For at most {100 * share:.0f} wrong in 100 answers, answer from a probability of "
                f"{step.probability:.3f} on (predict --unsure {share:g}): {doubt.told}."
            )
    if shares:
        yield (
            "These probabilities were chosen by the answers that they are counted on. So on new images somewhat more "
            "answers are wrong than that, above all where few may be."
        )
