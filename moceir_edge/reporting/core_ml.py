"""What a Core ML package stores its weights in, and where its operations are expected to run."""

from __future__ import annotations

from moceir_edge.reporting.contents import Code, Listing, Part, Phrase, Table, say
from moceir_edge.reporting.recorded import RecipeRun, Run
from moceir_edge.targets.coreml_units import Unit


def stored_weights(run: Run, recipe: RecipeRun) -> list[Part]:
    """The plan of a package whose weights are not all floats."""
    plan, place = recipe.weights, f"{recipe.beside}/weights"
    if plan is None:
        return []
    sizes: Phrase = (
        "The weights of convolutions take ",
        run.number(f"{place}.size_bytes", ".2f", "MB"),
        " of ",
        run.number(f"{place}.float_bytes", ".2f", "MB"),
        " as floats.",
    )
    parts: list[Part] = [say(*sizes)]
    if plan.simulated is not None:
        snr = run.number(f"{place}.simulated.residual_snr_db", unit="dB")
        parts.append(say("Simulated on the calibration crops they leave a residual SNR of at least ", snr, "."))
    rows = tuple(((Code(layer.name),), (layer.chosen.choice,), (layer.reason,)) for layer in plan.layers)
    if rows:
        parts.append(Table(("convolution", "stored as", "reason"), rows, words=3, fold="how each weight is stored"))
    return parts


def compute_units(run: Run, recipe: RecipeRun) -> list[Part]:
    """How many operations are expected where, what leaves the Neural Engine, and who says so."""
    units, place = recipe.units, f"{recipe.beside}/compute_units"
    if units is None:
        return []
    counts = [(run.number(f"{place}.operations.{unit}", "d"), f" on the {unit}") for unit in Unit]
    switches = run.number(f"{place}.switches", "d")
    listed: Phrase = tuple(piece for number, words in counts for piece in (number, words, ", "))
    height, width = (run.number(f"{place}.size.{axis}", "d") for axis in (0, 1))
    counted: Phrase = ("Operations at ", width, "x", height, ": ", *listed, switches)
    parts: list[Part] = [say(*counted, f" switches between them ({units.how}).")]
    rows = tuple(
        (
            (row.kind,),
            (run.number(f"{place}.leaving.{index}.count", "d"),),
            (row.unit,),
            (row.rule,),
            (Code(row.example),),
        )
        for index, row in enumerate(units.leaving)
    )
    if rows:
        head = ("operation", "how many", "unit", "rule", "one of them")
        parts.append(Table(head, rows, tail=3, fold="what is expected to leave the Neural Engine"))
        parts.append(Listing(tuple((f"{rule.name}: {rule.what} ({rule.source})",) for rule in units.rules)))
    return parts
