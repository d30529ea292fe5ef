"""From a network to its program: kept experts fixed (several are computed and masked), windows as matrix products.

Float32 islands (`exact`) are where float16 cannot hold the numbers: norms (epsilon, sums of squares), the attention's
products over all pixels, the frequency windows, the routers and the residual that gives the final picture.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from moceir_edge.network.architecture import DecoderBlockShape
from moceir_edge.network.experts import Expert, FrequencyAttention
from moceir_edge.network.layers import UNIT_EPSILON, Block, ChannelNorm, CrossAttention, FeedForward, SelfAttention
from moceir_edge.network.network import Adapter, DecoderBlock, MoceIR
from moceir_edge.program import windows
from moceir_edge.program.program import (
    AGREEMENT,
    CHOSEN,
    GATES,
    IMAGE,
    RESTORED,
    SCORES,
    Builder,
    Constant,
    Kind,
    Program,
)


def lower(network: MoceIR, *, guard: bool = True, gates_input: bool = False) -> Program:
    """Write a network down as a program.

    guard: give `agreement` (1,), the share of routed layers whose first choice is served, and `scores` (1, L, E);
    only where the routers are there. gates_input: take the experts' weights as the input `gates` (1, L, E) and give
    those that were used as `chosen` (1, L, E); where a layer's are all 0, its router decides.
    """
    return _Lowering(network, guard=guard and network.architecture.guarded, gates_input=gates_input).program()


def _array(tensor: Tensor | None) -> Constant | None:
    return None if tensor is None else tensor.detach().cpu().numpy()


class _Lowering:
    def __init__(self, network: MoceIR, *, guard: bool, gates_input: bool) -> None:
        self.network, self.guard, self.gates_input = network, guard, gates_input
        self.architecture = network.architecture
        self.build = Builder()
        self.scores: list[str] = []
        self.agreements: list[str] = []
        self.chosen: list[str] = []
        needs_scores = any(block.mean_gate is None for _, block in self.architecture.routed())
        self.routed = self.architecture.guarded and (guard or needs_scores)

    def program(self) -> Program:
        add, architecture, network = self.build.add, self.architecture, self.network
        image = add(Kind.INPUT, IMAGE)
        if self.gates_input:
            count = len(architecture.layers) * architecture.experts
            gates = add(Kind.INPUT, GATES, exact=True)
            self.gates = add(Kind.RESHAPE, "gates.flat", gates, shape=(1, count, 1, 1), exact=True)
        x, skips = self.conv("patch_embed.proj", network.patch_embed.proj, image), []
        for level, (stack, down) in enumerate(network.enc):
            x = self.stack(f"enc.{level}.0", stack.layers, x)
            skips.append(x)
            x = self.conv(f"enc.{level}.1.body.0", down.body[0], x)
            x = add(Kind.UNSHUFFLE, f"enc.{level}.1", x)
        x = self.stack("latent", network.latent.layers, x)
        frequency = self.frequency_embedding(x) if self.routed else ""
        for level, (up, fuse, stack) in enumerate(network.dec):
            x = add(Kind.SHUFFLE, f"dec.{level}.0", self.conv(f"dec.{level}.0.body.0", up.body[0], x))
            x = add(Kind.CONCAT, f"dec.{level}.1.concat", x, skips.pop(), axis=1)
            x = self.conv(f"dec.{level}.1", fuse, x)
            for position, block in enumerate(stack.layers):
                x = self.decoder_block(f"dec.{level}.2.layers.{position}", block, x, frequency)
        x = self.stack("refinement", network.refinement.layers, x)
        x = self.conv("output", network.output, x)
        outputs = {RESTORED: add(Kind.ADD, RESTORED, x, image, exact=True), **self.guard_outputs()}
        if self.gates_input and self.routed:
            outputs[CHOSEN] = self.table(CHOSEN, self.chosen, len(architecture.layers))
        return Program(tuple(self.build.operations), outputs, architecture.layers, architecture.experts)

    def guard_outputs(self) -> dict[str, str]:
        if not self.guard:
            return {}
        add, layers = self.build.add, len(self.scores)
        agreements = self.join("agreement.layers", self.agreements)
        agreement = add(Kind.MEAN, "agreement.mean", agreements, axes=(1,), exact=True)
        return {
            AGREEMENT: add(Kind.RESHAPE, AGREEMENT, agreement, shape=(1,), exact=True),
            SCORES: self.table(SCORES, self.scores, layers),
        }

    def table(self, name: str, values: list[str], layers: int) -> str:
        """(1, L, E) of the values of all layers and experts."""
        joined = self.join(f"{name}.layers", values)
        return self.build.add(Kind.RESHAPE, name, joined, shape=(1, layers, self.architecture.experts), exact=True)

    def join(self, name: str, values: list[str]) -> str:
        return values[0] if len(values) == 1 else self.build.add(Kind.CONCAT, name, *values, axis=1, exact=True)

    # layers

    def conv(
        self, name: str, conv: nn.Conv2d, x: str, *, part: slice = slice(None), label: str = "", exact: bool = False
    ) -> str:
        """A convolution, or the `part` of it that gives some of its output channels."""
        weight, bias = _array(conv.weight), _array(conv.bias)
        assert weight is not None
        groups = conv.groups if part == slice(None) or conv.groups == 1 else len(weight[part])
        constants = {"weight": weight[part], "bias": None if bias is None else bias[part]}
        return self.build.add(Kind.CONV, name + label, x, constants=constants, groups=groups, exact=exact)

    def split_conv(self, name: str, first: nn.Conv2d, second: nn.Conv2d, names: tuple[str, str], x: str) -> list[str]:
        """first, then the depthwise second, as one pair per letter in `name`: no split of a large result is needed."""
        count = second.out_channels // len(name)
        parts = [(slice(i * count, (i + 1) * count), f".{letter}") for i, letter in enumerate(name)]
        inner = [self.conv(names[0], first, x, part=part, label=label) for part, label in parts]
        return [
            self.conv(names[1], second, value, part=part, label=label)
            for value, (part, label) in zip(inner, parts, strict=True)
        ]

    def linear(self, name: str, linear: nn.Linear, x: str) -> str:
        """A linear layer on (1, C, 1, 1) as a 1x1 convolution."""
        weight = _array(linear.weight)
        assert weight is not None
        constants = {"weight": weight[:, :, None, None], "bias": _array(linear.bias)}
        return self.build.add(Kind.CONV, name, x, constants=constants, groups=1, exact=True)

    def norm(self, name: str, norm: ChannelNorm, x: str, *, epsilon: float | None = None) -> str:
        constants = {"weight": _array(norm.body.weight), "bias": _array(norm.body.bias)}
        return self.build.add(Kind.NORM, name, x, constants=constants, epsilon=epsilon or norm.epsilon, exact=True)

    def attend(self, name: str, q: str, k: str, v: str, temperature: nn.Parameter) -> str:
        add, heads = self.build.add, temperature.shape[0]
        like = v
        q, k, v = (
            add(Kind.HEADS, f"{name}.{part}.rows", x, heads=heads) for part, x in zip("qkv", (q, k, v), strict=True)
        )
        lengths = []
        for part, x in (("q", q), ("k", k)):
            energy = add(Kind.ENERGY, f"{name}.{part}.energy", x, axes=(3,), exact=True)
            length = add(Kind.SQRT, f"{name}.{part}.length", energy, exact=True)
            lengths.append(add(Kind.FLOOR, f"{name}.{part}.floor", length, value=UNIT_EPSILON, exact=True))
        turned = add(Kind.TRANSPOSE, f"{name}.k.turned", k, exact=True)
        product = add(Kind.MATMUL, f"{name}.similarity", q, turned, exact=True)
        product = add(Kind.DIV, f"{name}.by_q", product, lengths[0], exact=True)
        k_length = add(Kind.TRANSPOSE, f"{name}.k.length.turned", lengths[1], exact=True)
        product = add(Kind.DIV, f"{name}.by_k", product, k_length, exact=True)
        scale = {"right": _array(temperature)}
        product = add(Kind.MUL, f"{name}.scaled", product, constants=scale, exact=True)
        weights = add(Kind.SOFTMAX, f"{name}.softmax", product, axis=3, exact=True)
        rows = add(Kind.MATMUL, f"{name}.attended", weights, v)
        return add(Kind.PIXELS, f"{name}.pixels", rows, like)

    def self_attention(self, name: str, layer: SelfAttention, x: str) -> str:
        q, k, v = self.split_conv("qkv", layer.qkv, layer.qkv_dwconv, (f"{name}.qkv", f"{name}.qkv_dwconv"), x)
        attended = self.attend(name, q, k, v, layer.temperature)
        return self.conv(f"{name}.project_out", layer.project_out, attended)

    def cross_attention(self, name: str, layer: CrossAttention, routed: str, shared: str) -> str:
        q = self.conv(f"{name}.q_dwconv", layer.q_dwconv, self.conv(f"{name}.q", layer.q, routed))
        k, v = self.split_conv("kv", layer.kv, layer.kv_dwconv, (f"{name}.kv", f"{name}.kv_dwconv"), shared)
        attended = self.attend(name, q, k, v, layer.temperature)
        return self.conv(f"{name}.project_out", layer.project_out, attended)

    def feed_forward(self, name: str, layer: FeedForward, x: str) -> str:
        names = (f"{name}.project_in", f"{name}.dwconv")
        a, b = self.split_conv("ab", layer.project_in, layer.dwconv, names, x)
        product = self.build.add(Kind.MUL, f"{name}.product", self.build.add(Kind.GELU, f"{name}.gelu", a), b)
        return self.conv(f"{name}.project_out", layer.project_out, product)

    def stack(self, name: str, blocks: nn.ModuleList, x: str) -> str:
        for position, block in enumerate(blocks):
            x = self.block(f"{name}.layers.{position}", block, x)
        return x

    def block(self, name: str, block: Block, x: str) -> str:
        add = self.build.add
        mixed = self.self_attention(f"{name}.mixer", block.mixer, self.norm(f"{name}.norms.0", block.norms[0], x))
        x = add(Kind.ADD, f"{name}.mixer.sum", x, mixed)
        forwarded = self.feed_forward(f"{name}.ffn", block.ffn, self.norm(f"{name}.norms.1", block.norms[1], x))
        return add(Kind.ADD, f"{name}.ffn.sum", x, forwarded)

    # routed layers

    def decoder_block(self, name: str, block: DecoderBlock, x: str, frequency: str) -> str:
        add = self.build.add
        normed = self.norm(f"{name}.norms.0", block.norms[0], x)
        shared = self.self_attention(f"{name}.shared", block.shared, self.conv(f"{name}.proj.0", block.proj[0], normed))
        routed = self.conv(f"{name}.proj.1", block.proj[1], normed)
        routed = self.adapter(f"{name}.adapter", block.adapter, routed, shared, frequency)
        x = add(Kind.ADD, f"{name}.mixer.sum", self.cross_attention(f"{name}.mixer", block.mixer, routed, shared), x)
        forwarded = self.feed_forward(f"{name}.ffn", block.ffn, self.norm(f"{name}.norms.1", block.norms[1], x))
        return add(Kind.ADD, f"{name}.ffn.sum", x, forwarded)

    def adapter(self, name: str, adapter: Adapter, x: str, shared: str, frequency: str) -> str:
        weights = self.weights(name, adapter, x, frequency)
        if len(weights) == 1:
            y = x
            for index in adapter.shape.kept:
                y = self.build.add(Kind.ADD, f"{name}.sum", y, self.expert(name, index, adapter, x, shared))
            y = self.weigh(f"{name}.weighed", y, weights[0])
        else:
            total = weights[0]
            for weight in weights[1:]:
                assert total is not None
                assert weight is not None
                total = self.build.add(Kind.ADD, f"{name}.total", total, weight, exact=True)
            y = self.weigh(f"{name}.shortcut", x, total)
            by_index = dict(zip(adapter.shape.served, weights, strict=True))
            for index in adapter.shape.kept:
                added = self.expert(name, index, adapter, x, shared)
                added = self.weigh(f"{name}.experts.{index}.weighed", added, by_index[index])
                y = self.build.add(Kind.ADD, f"{name}.sum", y, added)
        return self.conv(f"{name}.proj_out", adapter.proj_out, y)

    def weigh(self, name: str, x: str, weight: str | None) -> str:
        return x if weight is None else self.build.add(Kind.MUL, name, x, weight)

    def weights(self, name: str, adapter: Adapter, x: str, frequency: str) -> list[str | None]:
        """(1, 1, 1, 1) for each served expert; None where the gate is folded."""
        shape = adapter.shape
        scores = self.router(name, adapter, x, frequency) if self.routed else ""
        if shape.mean_gate is not None:
            if self.gates_input and self.routed:
                self.chosen.extend([self.nothing(name)] * len(shape.experts))
            return [None]
        best = self.best_served(name, scores, shape)
        weights = [best] if len(shape.served) == 1 else self.masked(name, scores, best, shape)
        if self.gates_input:
            weights = self.given_first(name, weights, shape)
            by_index = dict(zip(shape.served, weights, strict=True))
            self.chosen.extend(by_index.get(index) or self.nothing(name) for index in range(len(shape.experts)))
        return list(weights)

    def nothing(self, name: str) -> str:
        """(1, 1, 1, 1): 0, the weight of what is not served."""
        gate = self.part(f"{name}.gate", self.gates, 0)
        return self.build.add(Kind.MUL, f"{name}.unserved", gate, constants={"right": np.array(0.0)}, exact=True)

    def given_first(self, name: str, own: list[str], shape: DecoderBlockShape) -> list[str]:
        """The caller's weights; the router's `own` where those are all 0, bit for bit: 0 is added, 1 multiplied."""
        add = self.build.add
        first = self.architecture.layers.index(name.removesuffix(".adapter")) * len(shape.experts)
        given = [self.part(f"{name}.gate", self.gates, first + index) for index in shape.served]
        total = given[0]
        for gate in given[1:]:
            total = add(Kind.ADD, f"{name}.gate.total", total, gate, exact=True)
        below = add(Kind.MUL, f"{name}.gate.below", total, constants={"right": np.array(-1.0)}, exact=True)
        free = add(Kind.AT_LEAST, f"{name}.gate.free", below, total, exact=True)
        freely = [add(Kind.MUL, f"{name}.gate.own", weight, free, exact=True) for weight in own]
        return [
            add(Kind.ADD, f"{name}.gate.used", gate, weight, exact=True)
            for gate, weight in zip(given, freely, strict=True)
        ]

    def masked(self, name: str, scores: str, best: str, shape: DecoderBlockShape) -> list[str]:
        """The best score for the first expert that has it, 0 for the others."""
        add = self.build.add
        free, weights = "", []
        for index in shape.served:
            score = self.part(f"{name}.routing.score", scores, index)
            chosen = add(Kind.AT_LEAST, f"{name}.routing.chosen", score, best, exact=True)
            if free:
                chosen = add(Kind.MUL, f"{name}.routing.first", chosen, free, exact=True)
            weights.append(add(Kind.MUL, f"{name}.routing.weight", chosen, best, exact=True))
            if index == shape.served[-1]:
                break
            one = {"right": np.array(-1.0)}
            taken = add(Kind.MUL, f"{name}.routing.taken", chosen, constants=one, exact=True)
            free = (
                add(Kind.ADD, f"{name}.routing.free", free, taken, exact=True)
                if free
                else add(Kind.ADD, f"{name}.routing.free", taken, constants={"right": np.array(1.0)}, exact=True)
            )
        return weights

    def part(self, name: str, x: str, index: int) -> str:
        return self.build.add(Kind.SLICE, name, x, axis=1, start=index, stop=index + 1, exact=True)

    def best_served(self, name: str, scores: str, shape: DecoderBlockShape) -> str:
        return self.best(f"{name}.routing.served", scores, shape.served)

    def best(self, name: str, scores: str, indices: tuple[int, ...]) -> str:
        best = self.part(name, scores, indices[0])
        for index in indices[1:]:
            best = self.build.add(Kind.MAXIMUM, f"{name}.best", best, self.part(name, scores, index), exact=True)
        return best

    def router(self, name: str, adapter: Adapter, x: str, frequency: str) -> str:
        add, routing = self.build.add, adapter.routing
        pooled = add(Kind.MEAN, f"{name}.routing.pooled", x, axes=(2, 3), exact=True)
        seen = self.linear(f"{name}.routing.gate", routing.gate[2], pooled)
        heard = self.linear(f"{name}.routing.freq_gate", routing.freq_gate, frequency)
        logits = add(Kind.ADD, f"{name}.routing.logits", seen, heard, exact=True)
        scores = add(Kind.SOFTMAX, f"{name}.routing.scores", logits, axis=1, exact=True)
        if self.guard:
            everyone = tuple(range(len(adapter.shape.experts)))
            first = self.best(f"{name}.routing.first_choice", scores, everyone)
            served = self.best_served(name, scores, adapter.shape)
            self.scores.append(scores)
            self.agreements.append(add(Kind.AT_LEAST, f"{name}.routing.agreement", served, first, exact=True))
        return scores

    def frequency_embedding(self, latent: str) -> str:
        add, embedding = self.build.add, self.network.freq_embed
        x = self.conv("freq_embed.high_conv.0.conv", embedding.high_conv[0].conv, latent, exact=True)
        x = add(Kind.GELU, "freq_embed.high_conv.1", x, exact=True)
        x = add(Kind.MEAN, "freq_embed.pooled", x, axes=(2, 3), exact=True)
        x = add(Kind.GELU, "freq_embed.mlp.1", self.linear("freq_embed.mlp.0", embedding.mlp[0], x), exact=True)
        return self.linear("freq_embed.mlp.2", embedding.mlp[2], x)

    def expert(self, name: str, index: int, adapter: Adapter, x: str, shared: str) -> str:
        prefix = f"{name}.experts.{index}.0"
        expert: Expert = adapter.experts[str(index)][0]
        add = self.build.add
        attended = self.frequency_attention(
            f"{prefix}.body", expert.body, self.conv(f"{prefix}.proj.0", expert.proj[0], x)
        )
        opened = self.conv(f"{prefix}.proj.1", expert.proj[1], shared)
        gate = add(Kind.MUL, f"{prefix}.silu", opened, add(Kind.SIGMOID, f"{prefix}.sigmoid", opened))
        return self.conv(f"{prefix}.proj.2", expert.proj[2], add(Kind.MUL, f"{prefix}.product", attended, gate))

    def frequency_attention(self, name: str, layer: FrequencyAttention, x: str) -> str:
        q = self.conv(f"{name}.q_dwconv", layer.q_dwconv, self.conv(f"{name}.q", layer.q, x))
        k, v = self.split_conv("kv", layer.kv, layer.kv_dwconv, (f"{name}.kv", f"{name}.kv_dwconv"), x)
        mixed = self.window_convolution(f"{name}.windows", q, k, layer.window)
        epsilon = layer.norm.epsilon / layer.window**2
        normed = self.norm(f"{name}.norm", layer.norm, mixed, epsilon=epsilon)
        product = self.build.add(Kind.MUL, f"{name}.product", normed, v)
        return self.conv(f"{name}.proj_out", layer.proj_out, product)

    def window_convolution(self, name: str, q: str, k: str, window: int) -> str:
        """Circular convolution of q with k in windows, divided by their side."""
        q_real, q_imaginary = self.spectrum(f"{name}.q", q, window)
        k_real, k_imaginary = self.spectrum(f"{name}.k", k, window)

        def combine(part: str, kind: Kind, left: tuple[str, str], right: tuple[str, str]) -> str:
            first = self.build.add(Kind.MUL, f"{name}.{part}.first", *left, exact=True)
            second = self.build.add(Kind.MUL, f"{name}.{part}.second", *right, exact=True)
            return self.build.add(kind, f"{name}.{part}", first, second, exact=True)

        real = combine("real", Kind.SUB, (q_real, k_real), (q_imaginary, k_imaginary))
        imaginary = combine("imaginary", Kind.ADD, (q_real, k_imaginary), (q_imaginary, k_real))
        stacked = self.build.add(Kind.CONCAT, f"{name}.stacked", real, imaginary, axis=2, exact=True)
        stacked = self.product(f"{name}.back_rows", stacked, left=windows.inverse_rows(window))
        back_real, back_imaginary = windows.inverse_columns(window)
        top = self.product(f"{name}.back_real", self.half(f"{name}.top", stacked, 2, 0, window), right=back_real)
        low = self.half(f"{name}.low", stacked, 2, window, 2 * window)
        low = self.product(f"{name}.back_imaginary", low, right=back_imaginary)
        patches = self.build.add(Kind.ADD, f"{name}.patches", top, low, exact=True)
        return self.build.add(Kind.UNWINDOWS, f"{name}.pixels", patches, q, window=window, exact=True)

    def spectrum(self, name: str, x: str, window: int) -> tuple[str, str]:
        half = window // 2 + 1
        patches = self.build.add(Kind.WINDOWS, f"{name}.patches", x, window=window, exact=True)
        wave = self.product(f"{name}.columns", patches, right=windows.forward_columns(window))
        wave = self.product(f"{name}.rows", wave, left=windows.forward_rows(window))
        quarters = {}
        for row, first in (("top", 0), ("low", window)):
            rows = self.half(f"{name}.{row}", wave, 2, first, first + window)
            for column, start in (("cosine", 0), ("sine", half)):
                quarters[row, column] = self.half(f"{name}.{row}.{column}", rows, 3, start, start + half)
        real = self.build.add(Kind.ADD, f"{name}.real", quarters["top", "cosine"], quarters["low", "sine"], exact=True)
        imaginary = self.build.add(
            Kind.SUB, f"{name}.imaginary", quarters["low", "cosine"], quarters["top", "sine"], exact=True
        )
        return real, imaginary

    def product(self, name: str, x: str, **constant: windows.Matrix) -> str:
        return self.build.add(Kind.MATMUL, name, x, constants=constant, exact=True)

    def half(self, name: str, x: str, axis: int, start: int, stop: int) -> str:
        return self.build.add(Kind.SLICE, name, x, axis=axis, start=start, stop=stop, exact=True)
