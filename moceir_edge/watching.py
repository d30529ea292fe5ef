"""What routers said of pictures or of their tiles, remembered; and the artifact's guard, which warns by that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from moceir_edge.guarding import Verdict, verdict
from moceir_edge.opening import Opened
from moceir_edge.runner import Image, Outputs, Runner


class Watched:
    """A runner that remembers scores (L, E) and agreements of what it ran, until the scores are taken."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.scores: list[Image] = []
        self.agreements: list[float] = []

    @property
    def size(self) -> tuple[int, int] | None:
        """See `Runner`."""
        return self.runner.size

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        outputs = self.runner.run(image)
        if outputs.scores is not None:
            self.scores.append(outputs.scores)
        if outputs.agreement is not None:
            self.agreements.append(outputs.agreement)
        return outputs

    def take(self) -> list[Image]:
        """The scores of all that was run since they were last taken; nothing is remembered after."""
        scores, self.scores, self.agreements = self.scores, [], []
        return scores


@contextmanager
def forgotten_if_failed(runner: Runner) -> Iterator[None]:
    """What a watched runner runs in the block counts only if that succeeds: what is tried again is not said twice."""
    if not isinstance(runner, Watched):
        yield
        return
    scores, agreements = len(runner.scores), len(runner.agreements)
    try:
        yield
    except BaseException:
        del runner.scores[scores:], runner.agreements[agreements:]
        raise


def guarded(opened: Opened) -> Opened:
    """The same, watched for the guard of its artifact, where that has one."""
    rule = opened.artifact.guard if opened.artifact is not None else None
    return opened if rule is None else replace(opened, runner=Watched(opened.runner))


def verdict_of(opened: Opened) -> Verdict | None:
    """On all that `opened` ran since the last one, as tiles of one picture; None without a guard, or scores."""
    rule = opened.artifact.guard if opened.artifact is not None else None
    if rule is None or not isinstance(opened.runner, Watched):
        return None
    tiles = opened.runner.take()
    return verdict(rule, tiles) if tiles else None


def judged(opened: Opened, picture: Path, say: Callable[[str], None]) -> dict[str, Verdict]:
    """The verdict on what `opened` has just restored, by the picture's name; a foreign one is warned of by `say`.

    Empty without a guard.
    """
    found = verdict_of(opened)
    if found is None:
        return {}
    if found.foreign:
        say(f"warning: {picture} looks like none of {', '.join(opened.tasks)}, which this model is for: {found.text}")
    return {str(picture): found}
