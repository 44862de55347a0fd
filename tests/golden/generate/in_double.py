"""A Transformers model computed in double, constants as float32 has them.

`everything_in_double()` while running, `to_double(model)` before. Rotation angles, attention scales
and epsilons stay the float32 numbers that both sides use by definition; all that is computed from
them is in double. So Limbeck's double mode must agree to the last digits that are stored.
"""
import contextlib

import numpy as np
import torch


@contextlib.contextmanager
def everything_in_double():
    """Transformers casts norms, rotations and softmax to float32 even in a float64 model; not here."""
    to, as_float, softmax = torch.Tensor.to, torch.Tensor.float, torch.nn.functional.softmax
    up = lambda x: torch.float64 if x is torch.float32 else x
    torch.Tensor.to = lambda self, *a, **k: to(self, *map(up, a), **{n: up(v) for n, v in k.items()})
    torch.Tensor.float = lambda self: self.double()
    torch.nn.functional.softmax = lambda *a, **k: softmax(*a, **{n: up(v) for n, v in k.items()})
    try:
        yield
    finally:
        torch.Tensor.to, torch.Tensor.float, torch.nn.functional.softmax = to, as_float, softmax


def rounded(number):
    return float(np.float32(number))


def rotation_in_double(module):
    """Replaces a rotary embedding's forward: angle = float32(position) * inv_freq in float32."""
    tables = {n: b.clone() for n, b in module.named_buffers(recurse=False) if n.endswith("inv_freq")}

    def forward(x, position_ids, layer_type=None):
        prefix = f"{layer_type}_" if layer_type else ""
        positions = position_ids[..., None].type(torch.float32)
        angles = (positions * tables[prefix + "inv_freq"]).double()
        angles = torch.cat((angles, angles), dim=-1)
        magnitude = rounded(getattr(module, prefix + "attention_scaling"))
        return angles.cos() * magnitude, angles.sin() * magnitude

    module.forward = forward


def round_constants(module):
    for name in ("eps", "variance_epsilon", "scaling", "layer_norm_epsilon"):
        if isinstance(getattr(module, name, None), float):
            setattr(module, name, rounded(getattr(module, name)))


def to_double(model):
    """In place. The weights keep their values."""
    for module in model.modules():
        round_constants(module)
        if "inv_freq" in "".join(n for n, _ in module.named_buffers(recurse=False)):
            rotation_in_double(module)
    model.double()
    assert all(p.dtype == torch.float64 for p in model.parameters())
    return model
