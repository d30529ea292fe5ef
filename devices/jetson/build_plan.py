"""Whether a parsed network holds the plan: each planned convolution between quantizing layers of its own.

The plan is in build.json: `integer` are convolutions with their multiply-accumulates, `macs` are those of the whole
model. Counts alone could agree while a pair sits at the wrong place, so every convolution is looked up by its name.
The export asks the same of the library it finds. Python 3.8 and later.
"""

from __future__ import annotations


def layers_of(network):
    """Every layer, in running order."""
    return [network.get_layer(index) for index in range(network.num_layers)]


def inputs_of(layer):
    """The tensors that a layer reads."""
    tensors = [layer.get_input(index) for index in range(layer.num_inputs)]
    return [tensor for tensor in tensors if tensor is not None]


def outputs_of(layer):
    """The tensors that a layer gives."""
    return [layer.get_output(index) for index in range(layer.num_outputs)]


class Neighbours:
    """Who makes and who reads each tensor of a network."""

    def __init__(self, network):
        self.makers, self.readers = {}, {}
        for layer in layers_of(network):
            self.makers.update((tensor.name, layer) for tensor in outputs_of(layer))
            for tensor in inputs_of(layer):
                self.readers.setdefault(tensor.name, []).append(layer)

    def lack(self, trt, layer):
        """What keeps a convolution from running in 8 bits, or None."""
        given = inputs_of(layer)
        if len(given) < 2:
            return "its weights are not quantized"
        for index, what in enumerate(("its input is", "its weights are")):
            maker = self.makers.get(given[index].name)
            if maker is None or maker.type != trt.LayerType.DEQUANTIZE:
                return "{} not dequantized for it".format(what)
            if inputs_of(maker)[0].dtype not in eight_bits(trt):
                return "{} dequantized from {}".format(what, inputs_of(maker)[0].dtype)
        readers = self.readers.get(outputs_of(layer)[0].name, [])
        if not readers or any(reader.type != trt.LayerType.QUANTIZE for reader in readers):
            return "its result is not quantized"
        return None


def eight_bits(trt):
    """The types of 8 bits that this library knows."""
    return [getattr(trt.DataType, name) for name in ("INT8", "FP8") if hasattr(trt.DataType, name)]


def lacks(trt, network, planned):
    """What each planned convolution lacks that has not all of its quantizing layers; empty if the plan is there."""
    neighbours = Neighbours(network)
    convolutions = {layer.name: layer for layer in layers_of(network) if layer.type == trt.LayerType.CONVOLUTION}
    found = {
        name: neighbours.lack(trt, convolutions[name])
        if name in convolutions
        else "the network has no such convolution"
        for name in planned
    }
    return {name: lack for name, lack in found.items() if lack is not None}


def share(names, plan):
    """Share of all multiply-accumulates that these planned convolutions do."""
    return sum(plan["integer"][name] for name in names) / plan["macs"] if plan["macs"] else 0.0


def listed(lacking):
    """Names with reasons, as far as a line holds them."""
    first = ["{} ({})".format(name, lacking[name]) for name in sorted(lacking)[:3]]
    more = len(lacking) - len(first)
    return "; ".join(first) + (" and {} more".format(more) if more else "")


def count(trt, network):
    """How many quantizing and dequantizing layers a network has."""
    kinds = [layer.type for layer in layers_of(network)]
    return {
        "quantize": kinds.count(trt.LayerType.QUANTIZE),
        "dequantize": kinds.count(trt.LayerType.DEQUANTIZE),
    }


def compare(trt, network, recipe):
    """The parsed network against build.json: counts, planned convolutions found, their share, and `problem` or None."""
    plan, counts = recipe["plan"], count(trt, network)
    lacking = lacks(trt, network, plan["integer"])
    complete = [name for name in plan["integer"] if name not in lacking]
    problem = None
    for name, found in counts.items():
        if found != recipe[name + "_nodes"]:
            problem = "the parser made {} of {} {} layers".format(found, recipe[name + "_nodes"], name)
    if lacking:
        problem = "the parsed network lacks {} of {} planned convolutions: {}".format(
            len(lacking), len(plan["integer"]), listed(lacking)
        )
    return dict(counts, convolutions=len(complete), macs_share=share(complete, plan), problem=problem)
