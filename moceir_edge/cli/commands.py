"""The commands; each has an example in its help. Options of every command are taken before (see `entry`)."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from moceir_edge.cli.console import INTERRUPTED, Console, Shielded
from moceir_edge.errors import GateError, InputError
from moceir_edge.terms import TASK_NAMES, GateMode, Task, tasks_from_names

_CONSOLE: ContextVar[Console] = ContextVar("console")
EVERYWHERE = "With every command: --json (one object on stdout), -v, -q, --log FILE."

app = typer.Typer(
    name="moceir-edge",
    help="Cut MoCE-IR down to the tasks a device meets, quantize it, and prove what each step cost.",
    epilog=EVERYWHERE,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint: .ckpt, .pt, .pth or .safetensors.")]
ModelOrArtifact = Annotated[Path, typer.Argument(metavar="MODEL|ARTIFACT", help="A checkpoint or an artifact folder.")]
ArtifactFolder = Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A folder that export wrote.")]
Data = Annotated[Path, typer.Option(help="A DATA folder, one of its sets, or a manifest.")]
Calibration = Annotated[Path | None, typer.Option(help="Pictures that choose; without it DATA is split by hash.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help=f"One of {', '.join(TASK_NAMES)}; may be repeated.")]
Out = Annotated[Path, typer.Option(help="Where the result goes.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Coverage = Annotated[float, typer.Option(help="Share of pictures whose first choice stays, in (0, 1].")]
MaxExperts = Annotated[int | None, typer.Option(help="Most experts a layer keeps.")]
Gate = Annotated[GateMode, typer.Option(help="exact: the router's score; folded: its mean, in the weights.")]
Guard = Annotated[bool, typer.Option("--guard/--no-guard", help="Keep the routers, to tell foreign pictures.")]

Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads that compute; without it the runtime decides.")]


def application(arguments: list[str], console: Console) -> int:
    """Parse and run; returns the exit code of what ran."""
    _CONSOLE.set(console)
    code = app(arguments, prog_name="moceir-edge", standalone_mode=False)
    if code == INTERRUPTED:  # typer has caught it, without a word
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _console() -> Console:
    return _CONSOLE.get()


def _tasks(names: list[str] | None) -> tuple[Task, ...]:
    return tasks_from_names(names or ())


def _example(text: str) -> dict[str, Any]:
    return {"epilog": f"Example: moceir-edge {text}  |  {EVERYWHERE}"}


@app.command(**_example("demo --out run/demo"))
def demo(out: Out, force: Force = False) -> int:
    """The bundled model and pictures through every stage, for every target that works here."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import pipeline_text
        from moceir_edge.demonstration import demo as run_demo

        result = run_demo(out, force=force, progress=console.progress, say=console.say)
    console.result(result.model_dump(mode="json"), pipeline_text(result))
    return GateError.exit_code if result.failed else 0


@app.command(**_example("inspect last.ckpt"))
def inspect(path: ModelOrArtifact) -> None:
    """Architecture, parameters, MACs and sha256 of a model or an artifact."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import inspection_text
        from moceir_edge.inspecting import inspect as run_inspect

        result = run_inspect(path)
    console.result(result.model_dump(mode="json"), inspection_text(result))


@app.command(**_example("convert last.ckpt model.safetensors"))
def convert(path: Model, out: Annotated[Path, typer.Argument(metavar="OUT")], force: Force = False) -> None:
    """Rewrite a model: .safetensors is ours, .ckpt and .pt have the published key names."""
    console = _console()
    with Shielded():
        from moceir_edge.standalone import convert as run_convert

        result = run_convert(path, out, force=force)
    console.result(result.model_dump(mode="json"), f"wrote {result.path} (model sha256 {result.sha256[:12]})")


@app.command(**_example("observe last.ckpt --data pictures --out routing.json"))
def observe(
    path: Model,
    data: Data,
    out: Out,
    calibration: Calibration = None,
    task: Tasks = None,
    relevance: Annotated[
        bool, typer.Option("--relevance/--no-relevance", help="Measure what experts are worth, and routing noise.")
    ] = True,
    force: Force = False,
) -> None:
    """Which experts each degradation uses, how surely, and whether it needs them."""
    console = _console()
    console.speak_for_all()
    with Shielded():
        from moceir_edge.cli.texts import routing_text
        from moceir_edge.standalone import observe as run_observe

        result = run_observe(
            path,
            data,
            out,
            calibration=calibration,
            tasks=_tasks(task),
            relevance=relevance,
            force=force,
            progress=console.progress,
        )
    console.result({"path": str(out), **result.model_dump(mode="json")}, routing_text(result, out))


@app.command(**_example("slim last.ckpt --routing routing.json --task derain --out slim.safetensors"))
def slim(
    path: Model,
    routing: Annotated[Path, typer.Option(help="What observe wrote.")],
    out: Out,
    task: Tasks = None,
    coverage: Coverage = 0.99,
    max_experts: MaxExperts = None,
    gate: Gate = GateMode.EXACT,
    guard: Guard = True,
    none: Annotated[bool, typer.Option("--none/--no-none", help="Allow layers without any expert.")] = True,
    force: Force = False,
) -> None:
    """Remove the experts that the tasks do not use, or do not need."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import slim_text
        from moceir_edge.standalone import slim as run_slim

        result = run_slim(
            path,
            routing,
            out,
            tasks=_tasks(task),
            coverage=coverage,
            max_experts=max_experts,
            gate=gate,
            guard=guard,
            allow_none=none,
            force=force,
        )
    console.result(result.model_dump(mode="json"), slim_text(result))


@app.command(
    **_example("narrow slim.safetensors --task derain --data pictures --keep-macs 0.5 --out narrow.safetensors")
)
def narrow(
    path: Model,
    data: Data,
    out: Out,
    task: Tasks = None,
    keep_macs: Annotated[float | None, typer.Option(metavar="SHARE", help="Share of the MACs that stay.")] = None,
    max_parameters: Annotated[int | None, typer.Option(metavar="N", help="Most parameters that stay.")] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(metavar="MS", help="Most milliseconds at 256x256 in ONNX Runtime, here, in float32.")
    ] = None,
    calibration: Calibration = None,
    distil: Annotated[
        str | None, typer.Option(metavar="FILE", help="Train afterwards, as this training file says, or distil.")
    ] = None,
    train_data: Annotated[
        Path | None, typer.Option(help="What the folders in the training file are relative to.")
    ] = None,
    multiple: Annotated[int, typer.Option(help="Widths stay multiples of this, of the trunk of half of it.")] = 16,
    force: Force = False,
) -> None:
    """Fewer channels, heads, ranks and blocks for the model's tasks, within a budget; killed, it goes on."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import narrow_text
        from moceir_edge.narrowing.budget import Budget
        from moceir_edge.narrowing.distillation import read_distillation
        from moceir_edge.narrowing.narrow import NarrowRequest
        from moceir_edge.narrowing.narrow import narrow as run_narrow

        if train_data is not None and distil is None:
            raise InputError("--train-data is for training, and none is asked for", "add --distil FILE")
        budget = Budget.of(macs=keep_macs, parameters=max_parameters, latency_ms=max_latency_ms)
        request = NarrowRequest(
            path,
            data,
            out,
            budget,
            tasks=_tasks(task),
            calibration=calibration,
            distil=None if distil is None else read_distillation(distil, train_data),
            multiple=multiple,
        )
        result = run_narrow(request, force=force, progress=console.progress, say=console.say)
    console.result(result.model_dump(mode="json", exclude={"cutting": {"plan": {"kept"}}}), narrow_text(result))


@app.command(**_example("frontier last.ckpt --task derain --data pictures --max-latency-ms 50 --out frontier"))
def frontier(
    path: Model,
    data: Data,
    out: Out,
    task: Tasks = None,
    calibration: Calibration = None,
    keep_macs: Annotated[
        list[float] | None,
        typer.Option(metavar="SHARE", help="Share of the MACs that stays; may be repeated. 1, 0.75, 0.5, 0.25."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="A recipe file or name, taken at 256x256; may be repeated. float32 and int8 on this CPU."),
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(metavar="N", help="Pick what loses least within N ms.")
    ] = None,
    max_size_mib: Annotated[float | None, typer.Option(metavar="N", help="Pick what loses least within N MiB.")] = None,
    max_memory_mib: Annotated[
        float | None, typer.Option(metavar="N", help="Pick what loses least within N MiB of peak memory.")
    ] = None,
    max_loss_db: Annotated[
        float | None, typer.Option(metavar="N", help="Pick the fastest that loses at most N dB.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A device profile: compare, and limit, its predicted bound of the latency."),
    ] = None,
    threads: Threads = None,
    force: Force = False,
) -> None:
    """Slim, narrow and precision together: what each point takes and loses, and the best; killed, it goes on."""
    console = _console()
    with Shielded():
        from moceir_edge.frontiers.choosing import Ceiling
        from moceir_edge.frontiers.request import SHARES, FrontierRequest
        from moceir_edge.frontiers.search import frontier as run_frontier
        from moceir_edge.frontiers.table import frontier_text
        from moceir_edge.stages import named_recipes

        ceiling = Ceiling.of(
            latency_ms=max_latency_ms, size_mib=max_size_mib, memory_mib=max_memory_mib, loss_db=max_loss_db
        )
        request = FrontierRequest(
            path,
            data,
            out,
            tasks=_tasks(task),
            calibration=calibration,
            shares=tuple(keep_macs or SHARES),
            recipes=named_recipes(recipe or ()),
            ceiling=ceiling,
            device=device,
            threads=threads,
        )
        result = run_frontier(request, force=force, progress=console.progress, say=console.say)
    console.result(result.model_dump(mode="json"), f"{frontier_text(result)}\nwrote {out}")


@app.command(**_example("export slim.safetensors --recipe desktop --data pictures --out artifact"))
def export(
    path: Model,
    recipe: Annotated[str, typer.Option(help="A recipe file, or the name of a bundled one.")],
    data: Data,
    out: Out,
    calibration: Calibration = None,
    task: Tasks = None,
    plan: Annotated[
        Path | None, typer.Option(help="Place int8 as in this precision.json of an artifact; nothing is searched.")
    ] = None,
    force: Force = False,
) -> int:
    """Write a model for a target and judge it against the model; a failed artifact is called OUT.failed."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import verification_text
        from moceir_edge.stages import named_recipes
        from moceir_edge.standalone import export as run_export

        (read,) = named_recipes([recipe]).values()
        outcome, verification = run_export(
            path,
            read,
            data,
            out,
            calibration=calibration,
            tasks=_tasks(task),
            plan=plan,
            force=force,
            progress=console.progress,
            say=console.say,
        )
    value = {**outcome.model_dump(mode="json"), "verification": verification.model_dump(mode="json")}
    console.result(value, f"wrote {outcome.folder}\n{verification_text(verification)}")
    return 0 if outcome.passed else GateError.exit_code


@app.command(**_example("verify artifact --reference last.ckpt --data pictures"))
def verify(
    path: ArtifactFolder,
    reference: Annotated[Path, typer.Option(help="The MODEL it was made from.")],
    data: Data,
    task: Tasks = None,
    threads: Threads = None,
) -> int:
    """Compare an artifact with its reference on every picture of DATA."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import verification_text
        from moceir_edge.standalone import verify as run_verify

        result = run_verify(path, reference, data, tasks=_tasks(task), threads=threads, progress=console.progress)
    console.result(result.model_dump(mode="json"), verification_text(result))
    return GateError.exit_code if result.failed else 0


@app.command(**_example("evaluate last.ckpt --data pictures"))
def evaluate(path: ModelOrArtifact, data: Data, task: Tasks = None, threads: Threads = None) -> None:
    """PSNR and SSIM of a model or an artifact, for each task and set."""
    console = _console()
    console.speak_for_all()
    with Shielded():
        from moceir_edge.cli.texts import evaluation_text
        from moceir_edge.evaluating import evaluate as run_evaluate

        result = run_evaluate(
            path, data, tasks=_tasks(task), threads=threads, progress=console.progress, say=console.say
        )
    console.result(result.model_dump(mode="json"), evaluation_text(result))


@app.command(**_example("restore artifact photos --out restored"))
def restore(
    path: ModelOrArtifact,
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGE|VIDEO|FOLDER...")],
    out: Out,
    task: Annotated[str | None, typer.Option(help="Refuse a model that was not made for this task.")] = None,
    tile: Annotated[str, typer.Option(help="auto, or the side of the tiles in pixels.")] = "auto",
    memory: Annotated[
        float | None,
        typer.Option(
            metavar="MIB",
            help="Memory that automatic tiles stay below; without it 1.5 GB, or half of what is free if that is less.",
        ),
    ] = None,
    threads: Threads = None,
    strength: Annotated[float, typer.Option(help="0 keeps the picture, 1 restores it.")] = 1.0,
    sequence: Annotated[bool, typer.Option("--sequence", help="A folder's pictures are the frames of a film.")] = False,
    force: Force = False,
) -> None:
    """Restore pictures of any size, folders of them, and videos."""
    console = _console()
    with Shielded():
        from moceir_edge.streaming.restore import restore as run_restore

        wanted = _tasks([task] if task else None)
        result = run_restore(
            path,
            pictures,
            out,
            task=wanted[0] if wanted else None,
            tile=_tile(tile),
            memory_mib=memory,
            threads=threads,
            strength=strength,
            sequence=sequence,
            force=force,
            progress=console.progress,
            say=console.say,
        )
    console.result(result.model_dump(mode="json"), result.text)


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise InputError(f"tile '{text}' is no size", "give auto, or a number of pixels")
    return int(text)


@app.command(**_example("pipeline --checkpoint last.ckpt --task derain --recipe desktop --data pictures --out run"))
def pipeline(
    checkpoint: Annotated[Path, typer.Option(help="The full MODEL.")],
    recipe: Annotated[list[str], typer.Option(help="A recipe file or name; may be repeated.")],
    data: Data,
    out: Out,
    task: Tasks = None,
    calibration: Calibration = None,
    coverage: Coverage = 0.99,
    max_experts: MaxExperts = None,
    gate: Gate = GateMode.EXACT,
    guard: Guard = True,
    force: Force = False,
) -> int:
    """From a checkpoint to verified artifacts and a report; a killed run continues where it stopped."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import pipeline_text
        from moceir_edge.stages import PipelineRequest, named_recipes
        from moceir_edge.stages import pipeline as run_pipeline

        tasks = _tasks(task)
        if not tasks:
            raise InputError("no task", "name one or more with --task")
        request = PipelineRequest(
            checkpoint,
            tasks,
            named_recipes(recipe),
            data,
            out,
            calibration=calibration,
            coverage=coverage,
            max_experts=max_experts,
            gate=gate,
            guard=guard,
        )
        result = run_pipeline(request, force=force, progress=console.progress, say=console.say)
    console.result(result.model_dump(mode="json"), pipeline_text(result))
    return GateError.exit_code if result.failed else 0


@app.command(**_example("bench golden:S --variant eager --variant straightforward --variant lowered"))
def bench(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint, or golden:S, golden:base, golden:tiny.")],
    size: Annotated[int, typer.Option(help="Side of the picture, a multiple of 8.")] = 256,
    experts: Annotated[
        str | None, typer.Option(help="Kept expert, 0 without this: one index, or one for each level: 0,1,2.")
    ] = None,
    routing: Annotated[Path | None, typer.Option(help="What observe wrote: keep what --task uses most.")] = None,
    whole: Annotated[Path | None, typer.Option(help="What MODEL was narrowed from: timed beside it.")] = None,
    task: Tasks = None,
    data: Annotated[Path | None, typer.Option(help="DATA to calibrate with and to measure PSNR on.")] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="What to measure, all without this; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often each variant runs.")] = 15,
    threads: Annotated[int, typer.Option(help="Threads of every library.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for bench.json, bench.txt and latency.svg.")] = None,
    force: Force = False,
) -> None:
    """Time variants of one model side by side, with memory, operators, roofline and dB."""
    console = _console()
    with Shielded():
        from moceir_edge.benchmarking.bench import bench as run_bench
        from moceir_edge.benchmarking.request import BenchRequest
        from moceir_edge.benchmarking.table import bench_text

        request = BenchRequest(
            model,
            side=size,
            experts=experts,
            routing=routing,
            whole=whole,
            tasks=_tasks(task),
            data=data,
            variants=tuple(variant or ()),
            rounds=rounds,
            threads=threads,
            out=out,
        )
        result = run_bench(request, force=force, progress=console.progress, say=console.say)
    console.result(result.model_dump(mode="json"), bench_text(result))


@app.command(**_example("profile artifact --seconds 20 --out results"))
def profile(
    source: Annotated[
        Path | None, typer.Argument(metavar="ARTIFACT|BUNDLE", help="What export or bundle wrote.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="here (without this), ssh://user@host[:port], adb[:SERIAL]; the name of a device profile, without an "
            "address, gives its predicted bound. May be repeated."
        ),
    ] = None,
    device_profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Device profile that an ARTIFACT is bundled for.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Two results, or folders of them: is B slower or faster than A?"),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="ARTIFACT|BUNDLE", help="Run this one (B) in turns with the other (A), here, and compare."
        ),
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="RESULT",
            help="Check and show what a runner elsewhere wrote; with ARTIFACT, note in its artifact.json that a device "
            "executed it.",
        ),
    ] = None,
    batterystats: Annotated[
        Path | None, typer.Option(metavar="DUMP", help="With --import: what adb shell dumpsys batterystats printed.")
    ] = None,
    uid: Annotated[str | None, typer.Option(help="With --batterystats: the app's user id in it, as in u0a134.")] = None,
    volts: Annotated[float, typer.Option(help="With --batterystats: the battery's nominal voltage.")] = 3.85,
    runs: Annotated[int | None, typer.Option(metavar="N", help="So many timed runs.")] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="At least so long; 10 without this.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Width and height of the picture.")] = None,
    threads: Threads = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Pairs of runs of --against.")] = 120,
    python: Annotated[str, typer.Option(help="Python of the devices, by name or path.")] = "python3",
    require_signature: Annotated[
        Path | None,
        typer.Option(
            metavar="PUBLIC_KEY",
            help="Run nothing of a BUNDLE, here or on a device, that the owner of this public Ed25519 key, a PEM file, "
            "has not signed.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keep each result as a file in it.")] = None,
) -> int:
    """How fast, accurate, large and hungry a model is, here and on devices; and whether another one is slower."""
    from moceir_edge.cli.profiling import ProfileWords, run_profiling

    words = ProfileWords(
        source=source,
        devices=tuple(device or ()),
        device_profile=device_profile,
        compare=compare,
        against=against,
        imported=imported,
        batterystats=batterystats,
        uid=uid,
        volts=volts,
        runs=runs,
        seconds=seconds,
        size=size,
        threads=threads,
        rounds=rounds,
        python=python,
        public_key=require_signature,
        out=out,
    )
    return run_profiling(words, _console())


@app.command(**_example("train --config tiny --data pictures --out run/tiny"))
def train(
    config: Annotated[str, typer.Option(help="A training file, or three_tasks, five_tasks, composite, tiny(_fine).")],
    out: Annotated[Path, typer.Option(help="Folder of the run; where it holds this run already, it goes on.")],
    data: Annotated[Path | None, typer.Option(help="What the folders in the file are relative to.")] = None,
) -> None:
    """Train a network, from scratch or from weights; killed and started again, it goes on.

    torchrun and Slurm start many processes.
    """
    console = _console()
    console.speak_for_all()
    with Shielded():
        from moceir_edge.cli.texts import trained_text
        from moceir_edge.training.start import train as run_train

        result = run_train(config, out, data=data, say=console.say, progress=console.progress)
    console.result(result.model_dump(mode="json"), trained_text(result))


_SIGNING = (
    "To sign: openssl genpkey -algorithm ed25519 -out key.pem, then --sign key.pem; for the device: "
    "openssl pkey -in key.pem -pubout -out public.pem, then ./run.sh check --require-signature public.pem"
)


@app.command(
    epilog=f"Example: moceir-edge bundle artifact --device x86_laptop --out a.tar.gz  |  {_SIGNING}  |  {EVERYWHERE}"
)
def bundle(
    path: ArtifactFolder,
    device: Annotated[str, typer.Option(help="A device profile: its name, or a file.")],
    out: Annotated[Path, typer.Option(help="The bundle, a .tar.gz.")],
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign with this private Ed25519 key, a PEM file.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Golden pictures from this folder, instead of public-domain ones.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="With --pictures: the MODEL that the artifact was made from.")
    ] = None,
    force: Force = False,
) -> None:
    """One file for a device: artifact, golden pictures and a runner that checks and times them there."""
    console = _console()
    with Shielded():
        from moceir_edge.bundling.bundle import bundle as run_bundle
        from moceir_edge.cli.texts import bundle_text

        result = run_bundle(
            path, device, out, sign=sign, pictures=pictures, reference=reference, force=force, say=console.say
        )
    console.result(result.model_dump(mode="json"), bundle_text(result))


@app.command(**_example("report run"))
def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that pipeline wrote.")]) -> None:
    """Write RUN/report.html again."""
    console = _console()
    with Shielded():
        from moceir_edge.reporting.build import report as run_report

        path = run_report(run)
    console.result({"report": str(path)}, f"wrote {path}")


@app.command(**_example("serve artifact"))
def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What export wrote for browsers, or its unpacked bundle.")
    ],
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 8377,
) -> None:
    """Open a browser artifact from this machine, until Ctrl-C."""
    console = _console()
    from moceir_edge.serving import Serving
    from moceir_edge.serving import serve as run_serve

    def ready(serving: Serving) -> None:
        console.result(serving.model_dump(mode="json"), f"{serving.url} serves {serving.folder}; Ctrl-C ends it")

    with contextlib.suppress(KeyboardInterrupt):
        run_serve(folder, port=port, ready=ready)


@app.command(**_example("doctor"))
def doctor() -> None:
    """What is installed, which targets work here, and what to install for the others."""
    console = _console()
    with Shielded():
        from moceir_edge.cli.texts import health_text
        from moceir_edge.health import doctor as run_doctor

        result = run_doctor()
    console.result(result.model_dump(mode="json"), health_text(result))
