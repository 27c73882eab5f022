"""Values as text: compact for people to read, literal for people to paste."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy
import torch

from autograder.judge.session import Exchange
from autograder.wire import Given, PythonSeed, Target, TorchSeed

MAX_SHOWN = 40  # entries of a tensor that are shown in full
MAX_LITERAL = 200  # entries that are written out in a snippet; more are packed
MAX_TEXT = 600


def brief(value: Any, limit: int = MAX_TEXT) -> str:
    """A value in at most `limit` characters: small tensors in full, big ones summarised."""
    text = _brief(value)
    return text if len(text) <= limit else f"{text[: limit - 20]} … ({len(text):,} characters)"


def _brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        if value.numel() <= MAX_SHOWN:
            shape = f", shape {tuple(value.shape)}" if not value.numel() or value.dim() > 2 else ""
            return f"tensor({_entries(value.tolist())}, {dtype}{shape})"
        return f"tensor of shape {tuple(value.shape)}, {dtype}{_range(value)}"
    if isinstance(value, numpy.ndarray):
        if value.size <= MAX_SHOWN:
            return f"array({_entries(value.tolist())}, {value.dtype})"
        return f"array of shape {value.shape}, {value.dtype}"
    if isinstance(value, Target):
        return f"<{value.kind or 'object'}>" if value.handle >= 0 else value.path
    if isinstance(value, TorchSeed):
        return f"Generator(seed {value.seed})"
    if isinstance(value, PythonSeed):
        return f"Random({value.seed})"
    if isinstance(value, Given):
        return value.name
    if type(value) in (list, tuple):
        inner = ", ".join(_brief(item) for item in value[:64]) + (", …" if len(value) > 64 else "")
        return f"[{inner}]" if type(value) is list else f"({inner}{',' if len(value) == 1 else ''})"
    if type(value) is dict:
        inner = ", ".join(f"{_brief(k)}: {_brief(v)}" for k, v in list(value.items())[:32])
        return "{" + inner + (", …" if len(value) > 32 else "") + "}"
    if isinstance(value, float):
        return _entry(value)
    kind = getattr(getattr(value, "_target", None), "kind", None)
    return f"<{kind}>" if kind is not None else repr(value)


def _entries(value: Any) -> str:
    return f"[{', '.join(_entries(item) for item in value)}]" if isinstance(value, list) else _entry(value)


def _entry(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.1f}" if value == int(value) and abs(value) < 1e6 else f"{value:.5g}"
    return str(value)


def _range(value: torch.Tensor) -> str:
    if value.dtype is torch.bool or not value.is_floating_point():
        return f", from {value.min().item()} to {value.max().item()}"
    finite = value[value.isfinite()]
    if not finite.numel():
        return ", nothing finite"
    strange = value.numel() - finite.numel()
    return f", from {finite.min().item():.4g} to {finite.max().item():.4g}" + (
        f", {strange} not finite" if strange else ""
    )


# --- snippets ---------------------------------------------------------------------------------------------------------


def literal(value: Any, names: dict[int, str] | None = None) -> str:
    """Python source for a value. `names` maps handles to the variables that hold them."""
    if isinstance(value, torch.Tensor):
        return _literal_tensor(value)
    if isinstance(value, numpy.ndarray):
        return f"numpy.array({_literal_entries(value.tolist())}, dtype={value.dtype.name!r}).reshape({value.shape})"
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, Target):
        root = (names or {}).get(value.handle, "submission" if value.handle < 0 else f"object_{value.handle}")
        return f"{root}.{value.path}" if value.path else root
    if isinstance(value, TorchSeed):
        return f"torch.Generator().manual_seed({value.seed})"
    if isinstance(value, PythonSeed):
        return f"random.Random({value.seed})"
    if isinstance(value, Given):
        return f"autograder.given.{value.name}"
    if type(value) in (list, tuple):
        inner = ", ".join(literal(item, names) for item in value)
        return f"[{inner}]" if type(value) is list else f"({inner}{',' if len(value) == 1 else ''})"
    if type(value) is dict:
        return "{" + ", ".join(f"{literal(k, names)}: {literal(v, names)}" for k, v in value.items()) + "}"
    return _literal_entries(value)


def _literal_tensor(x: torch.Tensor) -> str:
    dtype = str(x.dtype)
    if not x.numel():
        return f"torch.empty({tuple(x.shape)}, dtype={dtype})"
    if x.numel() <= MAX_LITERAL:
        text = f"torch.tensor({_literal_entries(x.tolist())}, dtype={dtype})"
    else:
        data = x.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        packed = base64.b85encode(zlib.compress(data, 9)).decode()
        raw = f"bytearray(zlib.decompress(base64.b85decode({packed!r})))"
        text = f"torch.frombuffer({raw}, dtype={dtype}).reshape({tuple(x.shape)})"
    if not x.is_contiguous():
        return f"{text}.unsqueeze(-1).repeat({', '.join(['1'] * x.dim() + ['2'])})[..., 0]"
    return text


def _literal_entries(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_literal_entries(item) for item in value)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def snippet(module: str, exchanges: list[Exchange]) -> str:
    """A script that asks the student's file alone what was asked here, and prints what the last call returns."""
    names = {-1: module}
    lines: list[str] = []
    for position, exchange in enumerate(exchanges):
        expression = _expression(exchange, names)
        last = position == len(exchanges) - 1
        handle = exchange.result.handle if isinstance(exchange.result, Target) else None
        if handle is not None and handle >= 0:
            kind = "".join(c for c in exchange.result.kind.lower() if c.isalnum() or c == "_") or "object"
            taken = set(names.values())
            name = next(n for n in (f"{kind}{i or ''}" for i in range(len(taken) + 1)) if n not in taken)
            names[handle] = name
            lines.append(f"{name} = {expression}")
        else:
            lines.append(f"print({expression})" if last else expression)
    body = "\n".join(lines)
    imports = [f"import {m}" for m in ("base64", "random", "zlib", "numpy", "torch") if f"{m}." in body]
    given = sorted({f"import autograder.given.{e.split('.')[0]}" for e in _given(exchanges)})
    return "\n".join([*imports, *given, f"import {module}", "", body, ""])


def _given(exchanges: list[Exchange]) -> set[str]:
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, Given):
            found.add(value.name)
        elif type(value) in (list, tuple):
            for item in value:
                look(item)
        elif type(value) is dict:
            for item in value.values():
                look(item)

    for exchange in exchanges:
        look(exchange.target)
        look(exchange.args)
        look(exchange.kwargs)
    return found


def _expression(exchange: Exchange, names: dict[int, str]) -> str:
    target = literal(exchange.target, names)
    if exchange.action in ("get", "keep"):
        return target
    if exchange.action == "take":
        return f"[item for _, item in zip(range({exchange.args[0]}), {target})]"
    if exchange.action == "vjp":
        return _gradient(exchange, target, names)
    return f"{target}({_arguments(exchange, names)})"


def _arguments(exchange: Exchange, names: dict[int, str]) -> str:
    parts = [literal(value, names) for value in exchange.args]
    parts += [f"{name}={literal(value, names)}" for name, value in exchange.kwargs.items()]
    return ", ".join(parts)


def _gradient(exchange: Exchange, target: str, names: dict[int, str]) -> str:
    """`torch.autograd.grad` of the call: the inputs are bound by a lambda, because they are needed twice."""
    inputs, bound = [], {}
    for place, name in enumerate(exchange.extra["wrt"]):
        if isinstance(name, str) and name not in exchange.kwargs:
            inputs.append(f"{target}.get_parameter({name!r})")
        else:
            bound[name] = f"x{place}"
            inputs.append(f"x{place}")
    call = ", ".join(
        [bound.get(i) or literal(v, names) for i, v in enumerate(exchange.args)]
        + [f"{k}={bound.get(k) or literal(v, names)}" for k, v in exchange.kwargs.items()]
    )
    values = [literal(exchange.args[n] if isinstance(n, int) else exchange.kwargs[n], names) for n in bound]
    heads = ", ".join(f"{v}={x}.requires_grad_()" for v, x in zip(bound.values(), values, strict=True))
    cotangents = exchange.extra["cotangents"]
    output = (
        f"{target}({call})"
        if len(cotangents) == 1
        else f"[o for o, ct in zip({target}({call}), {literal(cotangents)}) if ct is not None]"
    )
    heads = f" {heads}" if heads else ""
    pulled = literal([ct for ct in cotangents if ct is not None], names)
    return f"(lambda{heads}: torch.autograd.grad({output}, [{', '.join(inputs)}], {pulled}, allow_unused=True))()"
