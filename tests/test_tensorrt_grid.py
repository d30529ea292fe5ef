"""Every precision of a full, a slim and a narrow model, fixed and open, through NVIDIA's own parser."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from moceir_edge.network.architecture import Architecture, AttentionShape, BlockShape, DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.network import MoceIR
from moceir_edge.targets.to_tensorrt import TARGET
from moceir_edge.tensorrt_grid import PRECISIONS, SIZES, Cell, Grid, main
from moceir_edge.terms import GateState, Precision
from tests.targets.networks import small_network


def slim(architecture: Architecture) -> Architecture:
    """One expert in every layer, without its router."""

    def only(block: DecoderBlockShape) -> DecoderBlockShape:
        return replace(block, experts=(block.experts[0], None), served=(0,), router=False, mean_gate=0.5)

    return replace(architecture, decoder=tuple(tuple(map(only, level)) for level in architecture.decoder))


def narrow(architecture: Architecture) -> Architecture:
    """Fewer channels in attention and feed-forward parts, each block with numbers of its own."""

    def encoder(number: int, block: BlockShape) -> BlockShape:
        attention = AttentionShape(block.attention.heads, block.attention.heads * (2 + number))
        return replace(block, attention=attention, feed_forward=5 + number)

    def decoder(block: DecoderBlockShape) -> DecoderBlockShape:
        mixer = AttentionShape(block.mixer.heads, block.mixer.heads * 3)
        return replace(block, mixer=mixer, feed_forward=7)

    cut = slim(architecture)
    return replace(
        cut,
        encoder=tuple(tuple(encoder(n, block) for n, block in enumerate(level)) for level in cut.encoder),
        decoder=tuple(tuple(map(decoder, level)) for level in cut.decoder),
        refinement=tuple(encoder(n, block) for n, block in enumerate(cut.refinement)),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """NAME=FILE of the three models."""
    folder, full = tmp_path_factory.mktemp("models"), small_network()
    shapes = {"slim": slim(full.architecture), "narrowed": narrow(full.architecture)}
    torch.manual_seed(1)
    networks = {"full": full, **{name: MoceIR(shape).eval() for name, shape in shapes.items()}}
    for name, network in networks.items():
        save(LoadedModel(network, name), folder / f"{name}.safetensors")
    return [f"{name}={folder / name}.safetensors" for name in networks]


@pytest.fixture(scope="module")
def grid(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """Exit code of the command and its folder."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    out = tmp_path_factory.mktemp("grid") / "out"
    return main([*files, "--out", str(out), "--size", "32", "40", "--no-engines"]), out


MODELS = ("full", "slim", "narrowed")


@pytest.mark.parametrize(("model", "precision", "size"), list(product(MODELS, PRECISIONS, SIZES)))
def test_nvidias_parser_accepts(model: str, precision: Precision, size: str, grid: tuple[int, Path]) -> None:
    """The graph of each combination, and in 8 bits every planned convolution between its own pairs."""
    cell = next(c for c in read(grid).cells if (c.model, c.precision, c.size) == (model, precision, size))
    assert cell.parsed.state is GateState.PASSED
    assert (f"planned {precision} convolutions" in cell.parsed.reason) is precision.in_8_bits
    assert (cell.share_in_8_bits is not None) is precision.in_8_bits
    assert cell.share_in_8_bits is None or 0.5 < cell.share_in_8_bits < 1


def read(grid: tuple[int, Path]) -> Grid:
    """What the command wrote."""
    return Grid.read(grid[1] / "grid.json")


def test_command_ends_well_and_writes_a_table(grid: tuple[int, Path]) -> None:
    """One line for each combination; the models are told apart by their hashes."""
    code, out = grid
    assert code == 0
    lines = (out / "grid.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 + len(MODELS) * len(PRECISIONS) * len(SIZES)
    assert "| narrowed | int8 | open | passed | not run |" in "\n".join(lines)
    assert "MACs in 8 bits" in lines[0]
    assert all(" % |" in line for line in lines if "| fp8 |" in line)
    assert len(set(read(grid).models.values())) == len(MODELS)


def test_a_refusal_is_seen(grid: tuple[int, Path]) -> None:
    """In the exit code, by this."""
    cell = read(grid).cells[0]
    failed = cell.built.model_copy(update={"state": GateState.FAILED})
    assert not cell.refused
    assert cell.model_copy(update={"built": failed}).refused


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["full"], "'full' is no model; give NAME=FILE"),
        (["a/b=x.safetensors"], "is no model; give NAME=FILE"),
        (["full=none.safetensors"], "none.safetensors"),
        (["--size", "30", "40"], "size 30 40; give multiples of 8"),
    ],
)
def test_wrong_words_are_told(
    words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with nothing written."""
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_existing_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is overwritten."""
    assert main(["--out", str(tmp_path)]) == 2
    assert "exists; give a folder that does not" in capsys.readouterr().err


@pytest.mark.slow
def test_engines_of_the_narrow_model(files: list[str], tmp_path: Path) -> None:
    """Built ahead of time where the library can, in every precision and for open sizes."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    assert main([files[2], "--out", str(tmp_path / "out"), "--size", "32", "40"]) == 0
    cells: tuple[Cell, ...] = Grid.read(tmp_path / "out" / "grid.json").cells
    assert all(cell.built.state is GateState.PASSED and cell.engine_bytes for cell in cells)
