"""The wire: what can be said arrives exactly as it was, what cannot be said is refused, and a lie raises WireError."""

from __future__ import annotations

import copy
import math
import struct
from typing import Any

import msgspec
import numpy
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autograder import wire
from autograder.wire import ARRAY_DTYPES, TENSOR_DTYPES, TargetNode, WireError

NONCE = b"n" * 16


def said(value: Any) -> tuple[bytes, bytes]:
    """The header and the body of a reply that holds `value`."""
    encoder = wire.Encoder()
    outcome = wire.Answer(encoder.node(value))
    frame = b"".join(wire.frame(wire.Reply(NONCE, outcome, wire.sizes(encoder.buffers)), encoder.buffers))
    header, body = wire.lengths(frame[: wire.PREFIX.size])
    rest = frame[wire.PREFIX.size :]
    assert len(rest) == header + body
    return rest[:header], rest[header:]


def understood(header: bytes, body: bytes) -> Any:
    """The value in a reply, as a judge reads it."""
    reply = wire.reply(header)
    assert isinstance(reply.outcome, wire.Answer)
    return wire.Decoder(reply.sizes, bytearray(body), no_target).value(reply.outcome.value)


def no_target(node: Any) -> Any:
    if isinstance(node, TargetNode):
        return wire.Target(node.handle, node.path, node.kind)
    raise WireError("only a question may say this")


def raw(value: torch.Tensor | numpy.ndarray) -> bytes:
    if isinstance(value, numpy.ndarray):
        return value.tobytes()
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""


def same(a: Any, b: Any) -> bool:
    """Equal in type, shape, dtype and every byte; NaN is itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor | numpy.ndarray):
        return a.dtype == b.dtype and tuple(a.shape) == tuple(b.shape) and raw(a) == raw(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same([*a.items()], [*b.items()])
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


SHAPES = st.lists(st.integers(0, 3), max_size=4)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Any bytes as a tensor of any dtype, sometimes with strides of its own."""
    dtype = draw(st.sampled_from(list(TENSOR_DTYPES.values())))
    shape = draw(SHAPES)
    size = math.prod(shape) * dtype.itemsize
    if not size:
        return torch.empty(shape, dtype=dtype)
    data = bytearray(draw(st.binary(min_size=size, max_size=size)))
    if dtype is torch.bool:
        data = bytearray(byte & 1 for byte in data)
    tensor = torch.frombuffer(data, dtype=torch.uint8).view(dtype).reshape(shape)
    return tensor.movedim(0, -1) if draw(st.booleans()) else tensor


@st.composite
def arrays(draw: st.DrawFn) -> numpy.ndarray:
    dtype = draw(st.sampled_from(list(ARRAY_DTYPES.values())))
    shape = draw(SHAPES)
    size = math.prod(shape) * dtype.itemsize
    data = bytearray(draw(st.binary(min_size=size, max_size=size)))
    if dtype.kind == "b":
        data = bytearray(byte & 1 for byte in data)
    array = numpy.ndarray(shape, dtype, bytes(data))
    return array.T if draw(st.booleans()) else array


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.one_of(
    st.integers(), st.sampled_from([-(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 16**90, -(16**90)])
)
KEYS = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False), TEXT, st.binary(max_size=4)),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=4,
)
LEAVES = st.one_of(
    KEYS, st.floats(), tensors(), arrays(), st.sampled_from([torch.float32, torch.bfloat16, torch.bool, torch.int64])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=8,
)


# --- what can be said


@settings(max_examples=300)
@given(VALUES)
@example(torch.tensor(3.5, dtype=torch.bfloat16))
@example(numpy.float32([[]]))
@example(numpy.array(7, numpy.uint16))
@example([(), {}, [], frozenset(), "", b"", torch.empty(0, 3)])
@example({(1, (None, b"k")): [{"a": ({2.0: True},)}]})
@example([float("nan"), -0.0, math.inf])
def test_a_value_arrives_exactly_as_it_was(value: Any) -> None:
    assert same(understood(*said(value)), value)


@given(tensors())
def test_a_tensor_that_is_not_contiguous_arrives_so(tensor: torch.Tensor) -> None:
    arrived = understood(*said(tensor))
    assert arrived.is_contiguous() == (tensor.is_contiguous() or tensor.dim() == 0)


def test_a_tensor_that_arrived_belongs_to_its_reader() -> None:
    header, body = said([torch.zeros(2), numpy.zeros(2)])
    data = bytearray(body)
    reply = wire.reply(header)
    tensor, array = wire.Decoder(reply.sizes, data, no_target).value(reply.outcome.value)
    data[:] = b"\xff" * len(data)
    assert tensor.tolist() == array.tolist() == [0.0, 0.0]
    tensor += 1
    array += 1


def test_a_gradient_and_a_conjugate_are_no_part_of_a_value() -> None:
    tensor = torch.ones(2, requires_grad=True) * 2
    assert not understood(*said(tensor)).requires_grad
    assert understood(*said(torch.tensor([1 + 2j]).conj().imag)).tolist() == [-2.0]


def test_a_single_entry_may_have_any_stride() -> None:
    assert understood(*said(torch.arange(6.0)[1::3][:1])).tolist() == [1.0]


def test_numbers_of_numpy_arrive_as_plain_ones() -> None:
    sent = [numpy.int16(-3), numpy.float32(0.5), numpy.bool_(True), numpy.uint64(2**64 - 1)]
    assert same(understood(*said(sent)), [-3, 0.5, True, 2**64 - 1])


def test_a_named_tuple_and_an_ordered_dict_arrive_as_plain_ones() -> None:
    from collections import OrderedDict, namedtuple

    pair = namedtuple("pair", "a b")(1, 2)
    assert same(understood(*said([pair, OrderedDict(b=1, a=2), {1, 2}])), [(1, 2), {"b": 1, "a": 2}, frozenset({1, 2})])


def test_an_array_of_another_byte_order_arrives_with_the_same_numbers() -> None:
    assert understood(*said(numpy.arange(3, dtype=">i4"))).tolist() == [0, 1, 2]


def test_seeds_and_given_names_reach_the_worker_and_no_judge() -> None:
    for value in (wire.TorchSeed(7), wire.PythonSeed(7), wire.Given("streams.Counted")):
        header, body = said(value)
        with pytest.raises(WireError):
            understood(header, body)


# --- what cannot be said


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        {"\udfff": 1},
        torch.ones(2).to_sparse(),
        torch.empty(2, device="meta"),
        torch.ones(2, dtype=torch.complex64),
        torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
        torch.zeros(1, dtype=torch.uint16),
        torch.zeros(1).expand(2**40),
        torch.empty(0, 2**30, 2**30),
        torch.zeros([1] * 13),
        numpy.zeros(2, complex),
        numpy.array(["a"]),
        numpy.array([object()]),
        numpy.zeros([1] * 13),
        numpy.broadcast_to(numpy.zeros(1), (2**40,)),
        {torch.zeros(1): 1},
        {(torch.zeros(1),)},
        16**4000,
        [torch.zeros(0)] * (wire.MAX_BUFFERS + 1),
        object(),
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_value_says_is_refused(value: Any) -> None:
    with pytest.raises(WireError):
        said(value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(WireError):
        said(endless)


def test_nesting_is_allowed_to_the_limit_and_no_deeper() -> None:
    value: Any = 0
    for _ in range(wire.MAX_DEPTH):
        value = [value]
    assert understood(*said(value)) == value
    with pytest.raises(WireError):
        said([value])


def test_a_message_over_the_cap_is_refused() -> None:
    with pytest.raises(WireError):
        said("a" * (wire.MAX_HEADER_BYTES + 1))
    with pytest.raises(WireError):
        wire.frame(wire.Reply(NONCE, wire.Answer(None), [wire.MAX_BODY_BYTES, 1]), [])


@given(INTEGERS)
def test_an_integer_that_arrives_can_be_written_in_decimal(number: int) -> None:
    assert str(understood(*said(number))) == str(number)


def test_the_longest_integer_that_arrives_can_be_written_in_decimal() -> None:
    digits = wire.MAX_DIGITS
    arrived = wire.Decoder([], bytearray(), no_target).value(wire.IntNode("f" * digits))
    assert len(str(arrived)) > 4000


# --- lies


def reply_with(node: Any, sizes: list[int]) -> bytes:
    """A header as a hostile worker may write it."""
    return msgspec.msgpack.encode({"nonce": NONCE, "outcome": {"type": "answer", "value": node}, "sizes": sizes})


LIES: dict[str, tuple[Any, list[int], bytes]] = {
    "a buffer that is not there": (["tensor", "float32", [1], 1, False], [4], bytes(4)),
    "a negative buffer": (["tensor", "float32", [1], -1, False], [4], bytes(4)),
    "one buffer for two tensors": (["list", [["tensor", "float32", [1], 0, False]] * 2], [4], bytes(4)),
    "one buffer for a tensor and an array": (
        ["list", [["tensor", "float32", [1], 0, False], ["array", "float32", [1], 0]]],
        [4],
        bytes(4),
    ),
    "a shape larger than its bytes": (["tensor", "float32", [2], 0, False], [4], bytes(4)),
    "a shape smaller than its bytes": (["tensor", "float32", [0], 0, False], [4], bytes(4)),
    "a negative side": (["tensor", "float32", [-1, -1], 0, False], [4], bytes(4)),
    "sides whose product wraps around": (["tensor", "uint8", [2**32, 2**32], 0, False], [0], b""),
    "an empty tensor of impossible size": (["tensor", "uint8", [0, 2**47, 2**47], 0, False], [0], b""),
    "an empty array of impossible size": (["array", "uint8", [0, 2**47, 2**47], 0], [0], b""),
    "thirteen dimensions": (["tensor", "uint8", [1] * 13, 0, False], [1], b"\0"),
    "a dtype of no language": (["tensor", "complex64", [1], 0, False], [8], bytes(8)),
    "an attribute of torch as dtype": (["tensor", "nn", [1], 0, False], [8], bytes(8)),
    "an array of objects": (["array", "object", [1], 0], [8], bytes(8)),
    "a bool of 7": (["tensor", "bool", [2], 0, False], [2], b"\1\7"),
    "a bool of 7 in an array": (["array", "bool", [2], 0], [2], b"\1\7"),
    "sizes below the body": (None, [3], bytes(4)),
    "sizes beyond the body": (None, [5], bytes(4)),
    "a negative size": (None, [-1, 5], bytes(4)),
    "more buffers than there may be": (None, [0] * (wire.MAX_BUFFERS + 1), b""),
    "the same key twice": (["dict", ["a", "a"], [1, 2]], [], b""),
    "equal keys of two types": (["dict", [1, True], [1, 2]], [], b""),
    "more keys than values": (["dict", ["a", "b"], [1]], [], b""),
    "a list as a key": (["dict", [["list", []]], [1]], [], b""),
    "a tensor as a key": (["dict", [["tensor", "float32", [1], 0, False]], [1]], [4], bytes(4)),
    "a tensor in a tuple as a key": (["dict", [["tuple", [["tensor", "uint8", [0], 0, False]]]], [1]], [0], b""),
    "the same member twice": (["set", [1, 1]], [], b""),
    "a dict in a set": (["set", [["dict", [], []]]], [], b""),
    "an integer of too many digits": (["int", "f" * 5000], [], b""),
    "an integer that is none": (["int", "zz"], [], b""),
    "a dtype that is none": (["dtype", "nn"], [], b""),
    "a seed": (["seed", "torch", 1], [], b""),
    "a given object": (["given", "streams.Counted"], [], b""),
    "a tag that is not known": (["module", "os"], [], b""),
    "a bare list": ([1, 2], [], b""),
    "a map for a value": ({"a": 1}, [], b""),
    "an extension type": (msgspec.msgpack.Ext(1, b"x"), [], b""),
    "an unknown field": (["list", [], 1], [], b""),
    "a float for a size": (None, [0.5], b""),
    "a string for a shape": (["tensor", "uint8", "1", 0, False], [1], b"\0"),
}


@pytest.mark.parametrize("node", [["list", [["list", []]] * wire.MAX_CONTAINERS], ["list", [0] * (wire.MAX_ITEMS + 1)]])
def test_more_values_than_a_judge_has_time_for_are_refused(node: Any) -> None:
    with pytest.raises(WireError, match="too many for one message"):
        understood(reply_with(node, []), b"")


SAME_HASH = [["int", hex(factor * (2**61 - 1))] for factor in range(9, 55)]  # 1,035 pairs
FEWER = SAME_HASH[:30]  # 435


@pytest.mark.parametrize(
    "node",
    [
        ["set", SAME_HASH],
        ["dict", SAME_HASH, [0] * len(SAME_HASH)],
        ["list", [["set", SAME_HASH]]],
        ["list", [["set", FEWER]] * 3],
        ["set", [["set", [*FEWER, last]] for last in SAME_HASH[30:33]]],
    ],
)
def test_keys_that_all_have_one_hash_are_refused_before_they_make_a_table_slow(node: Any) -> None:
    with pytest.raises(WireError, match="one hash"):
        understood(reply_with(node, []), b"")


def test_some_keys_may_have_one_hash() -> None:
    honest = {-1, -2, 2**61 - 1, 0, 1, 2**61}
    assert understood(*said(honest)) == honest


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_raises_wire_error(lie: str) -> None:
    node, sizes, body = LIES[lie]
    with pytest.raises(WireError):
        understood(reply_with(node, sizes), body)


def test_nesting_deeper_than_any_value_raises_wire_error() -> None:
    for depth in (wire.MAX_DEPTH + 1, 5_000, 200_000):
        inner = b"\x92\xa4list\x91" * depth + b"\xc0"
        header = reply_with(None, []).replace(b"\xa5value\xc0", b"\xa5value" + inner)
        with pytest.raises(WireError):
            understood(header, b"")


@pytest.mark.parametrize(
    ("header", "body"),
    [(wire.MAX_HEADER_BYTES + 1, 0), (0, wire.MAX_BODY_BYTES + 1), (2**32 - 1, 2**64 - 1), (0, 2**64 - 1)],
)
def test_a_length_over_its_cap_is_refused_before_anything_is_read(header: int, body: int) -> None:
    with pytest.raises(WireError):
        wire.lengths(wire.PREFIX.pack(header, body))


def test_an_announced_array_of_four_billion_items_is_refused_at_once() -> None:
    inner = b"\x92\xa4list\xdd\xff\xff\xff\xff"
    with pytest.raises(WireError):
        wire.reply(reply_with(None, []).replace(b"\xa5value\xc0", b"\xa5value" + inner))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_noise_raises_wire_error(noise: bytes) -> None:
    with pytest.raises(WireError):
        wire.reply(noise)


# A junk item takes the place of any part of an honest reply: the types and the extremes that a decoder may stumble on.
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([-1, 0, 1, 2**31, 2**47, 2**63 - 1, 2**64 - 1, -(2**63)]),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(
        ["tensor", "array", "list", "tuple", "set", "dict", "int", "bytes", "dtype", "seed", "target", "bool"]
    ),
    st.binary(max_size=3),
    st.lists(st.integers(-2, 2**48), max_size=14),
    st.just({}),
)


def places(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every part of a decoded header."""
    found = [path]
    if isinstance(item, dict):
        for key, value in item.items():
            found += places(value, (*path, key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            found += places(value, (*path, index))
    return found


def bytes_held(value: Any) -> int:
    if isinstance(value, torch.Tensor | numpy.ndarray):
        return len(raw(value))
    if isinstance(value, dict):
        return sum(map(bytes_held, value.values()))
    return sum(map(bytes_held, value)) if isinstance(value, list | tuple) else 0


@settings(max_examples=500)
@given(VALUES, st.data())
def test_a_changed_reply_raises_wire_error_or_is_a_value_no_larger_than_its_body(
    value: Any, data: st.DataObject
) -> None:
    header, body = said(value)
    tree = msgspec.msgpack.decode(header)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(tree)[1:]))
        holder = tree
        for step in path[:-1]:
            holder = holder[step]
        way = data.draw(st.sampled_from(["replace", "repeat", "remove"]))
        if way == "replace" or isinstance(holder, dict):
            holder[path[-1]] = data.draw(JUNK)
        elif way == "repeat":
            holder.insert(path[-1], copy.deepcopy(holder[path[-1]]))
        else:
            del holder[path[-1]]
    try:
        reply = wire.reply(msgspec.msgpack.encode(tree))
        if not isinstance(reply.outcome, wire.Answer):
            return
        arrived = wire.Decoder(reply.sizes, bytearray(body), no_target).value(reply.outcome.value)
    except WireError:
        return
    assert bytes_held(arrived) <= len(body)
    repr(arrived)


@settings(max_examples=200)
@given(VALUES, st.data())
def test_a_reply_with_changed_bytes_raises_wire_error_or_is_a_reply(value: Any, data: st.DataObject) -> None:
    header, body = said(value)
    changed = bytearray(header + body)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        reply = wire.reply(bytes(changed[: len(header)]))
        if isinstance(reply.outcome, wire.Answer):
            wire.Decoder(reply.sizes, changed[len(header) :], no_target).value(reply.outcome.value)
    except WireError:
        pass


def test_a_question_that_is_none_raises_wire_error() -> None:
    for header in (b"", b"\x80", msgspec.msgpack.encode({"nonce": NONCE, "operation": {"type": "exec"}, "sizes": []})):
        with pytest.raises(WireError):
            wire.question(header)
