"""The only language spoken with student code: plain values and tensors, typed, bounded, never pickled.

A frame is a 12-byte prefix (header length, body length), a MessagePack header, and the raw bytes of tensors. The judge
sends one `Question`, the worker sends one `Reply` that carries the same nonce. Encoding is lenient, because the worker
encodes whatever a student returns; decoding is strict, because a reply comes from a process that belongs wholly to
the student: every length is checked against a cap before anything is allocated, every type is one of those below, and
whatever does not fit raises `WireError` and nothing else.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Set
from typing import Any, TypeVar

import msgspec
import numpy
import torch

M = TypeVar("M")
PREFIX = struct.Struct(">IQ")  # header bytes, body bytes
MAX_HEADER_BYTES = 4 << 20  # decoded, a header of many small nodes takes 50 times as much
MAX_BODY_BYTES = 64 << 20
MAX_BUFFERS = 1 << 16
MAX_CONTAINERS, MAX_ITEMS = 1 << 17, 1 << 20  # in one message: the judge looks at every value several times
MAX_DEPTH = 32
MAX_DIMS = 12
MAX_DIGITS = 3500  # hexadecimal ones of an integer: Python writes no more than 4300 decimal ones
# Pairs of keys with one hash, in one message: each is compared when a table is made, and 10**5 multiples of 2**61 - 1
# would take minutes. One sum for all tables, because sets in sets multiply: 38 in 38 in 38 took half a minute.
MAX_SAME_HASH = 1 << 10
MAX_TEXT = 4096  # characters of an error message or a source line

TENSOR_DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
    )
}  # fmt: skip
ARRAY_DTYPES: dict[str, numpy.dtype[Any]] = {
    name: numpy.dtype(name)
    for name in (
        "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
        "float64",
    )
}  # fmt: skip


class WireError(Exception):
    """A frame that does not say what the language allows, or a value that it cannot say."""


# --- what a value is called on the wire -------------------------------------------------------------------------------


class _Node(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A value, or a part of one, in a header. A tree has no cycles: a collector that looks for them in a million nodes
    takes seconds.
    """


class TensorNode(_Node, frozen=True, tag="tensor"):
    """A dense tensor: its bytes are buffer number `buffer` of the body. `strided` asks for a non-contiguous copy."""

    dtype: str
    shape: list[int]
    buffer: int
    strided: bool = False


class ArrayNode(_Node, frozen=True, tag="array"):
    """A numpy array."""

    dtype: str
    shape: list[int]
    buffer: int


class ListNode(_Node, frozen=True, tag="list"):
    items: list[Node]


class TupleNode(_Node, frozen=True, tag="tuple"):
    items: list[Node]


class SetNode(_Node, frozen=True, tag="set"):
    items: list[Node]


class DictNode(_Node, frozen=True, tag="dict"):
    keys: list[Node]
    values: list[Node]


class BytesNode(_Node, frozen=True, tag="bytes"):
    data: bytes


class IntNode(_Node, frozen=True, tag="int"):
    """An integer beyond 64 bits, in hexadecimal."""

    digits: str


class DtypeNode(_Node, frozen=True, tag="dtype"):
    """A `torch.dtype`."""

    name: str


class SeedNode(_Node, frozen=True, tag="seed"):
    """A fresh generator in a known state: a `torch.Generator`, or a `random.Random`."""

    library: str
    seed: int


class GivenNode(_Node, frozen=True, tag="given"):
    """An object of `autograder.given`, by its dotted name."""

    name: str


class TargetNode(_Node, frozen=True, tag="target"):
    """Something that stays in the worker: an attribute path from the student's module (`handle` < 0) or a handle."""

    handle: int
    path: str = ""
    kind: str = ""


Node = (
    None | bool | int | float | str | BytesNode
    | TensorNode | ArrayNode | ListNode | TupleNode | SetNode | DictNode
    | IntNode | DtypeNode | SeedNode | GivenNode | TargetNode
)  # fmt: skip


# --- questions and replies --------------------------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag="load", forbid_unknown_fields=True):
    """Execute the student's source as the module `name`. Calls of what `watched` names are remembered for `Seen`."""

    name: str
    source: bytes
    watched: tuple[str, ...] = ()


class Get(msgspec.Struct, frozen=True, tag="get", forbid_unknown_fields=True):
    """The value of an attribute; a `TargetNode` where it is no plain value."""

    target: TargetNode


class Call(msgspec.Struct, frozen=True, tag="call", forbid_unknown_fields=True):
    """Call a function, a class or a method. With `echo` the answer is (result, args, kwargs) afterwards."""

    target: TargetNode | GivenNode
    args: list[Node] = []
    kwargs: dict[str, Node] = {}
    echo: bool = False


class Vjp(msgspec.Struct, frozen=True, tag="vjp", forbid_unknown_fields=True):
    """Call, then pull `cotangents`, one an output, back to the inputs in `wrt`: the answer is (result, gradients)."""

    target: TargetNode
    args: list[Node]
    kwargs: dict[str, Node]
    cotangents: list[Node]
    wrt: list[int | str]


class Take(msgspec.Struct, frozen=True, tag="take", forbid_unknown_fields=True):
    """The next `count` items of an iterator, fewer at its end."""

    target: TargetNode
    count: int


class Keep(msgspec.Struct, frozen=True, tag="keep", forbid_unknown_fields=True):
    """Put a value into the worker and answer with a handle to it."""

    value: Node


class Seen(msgspec.Struct, frozen=True, tag="seen", forbid_unknown_fields=True):
    """Which watched names were called, and which the source spells: sentences. The worker may say anything: advice."""


Operation = Load | Get | Call | Vjp | Take | Keep | Seen


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question. Handles numbered `forget` and above are dropped before it is answered."""

    nonce: bytes
    operation: Operation
    sizes: list[int]
    forget: int = -1


class TraceLine(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One line of a traceback that lies in the student's own file."""

    line: int
    function: str
    text: str


class Answer(msgspec.Struct, frozen=True, tag="answer", forbid_unknown_fields=True):
    """The code returned this."""

    value: Node


class Raised(msgspec.Struct, frozen=True, tag="raised", forbid_unknown_fields=True):
    """The code raised. `lineage` names the exception's class and its bases."""

    lineage: list[str]
    message: str
    trace: list[TraceLine]


class Unsendable(msgspec.Struct, frozen=True, tag="unsendable", forbid_unknown_fields=True):
    """The code returned something that no value of this language can say."""

    reason: str


class Missing(msgspec.Struct, frozen=True, tag="missing", forbid_unknown_fields=True):
    """There is no such attribute."""

    name: str


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer to the question with this nonce."""

    nonce: bytes
    outcome: Answer | Raised | Unsendable | Missing
    sizes: list[int]


# --- values that only a judge sends -----------------------------------------------------------------------------------


class TorchSeed(msgspec.Struct, frozen=True):
    """Arrives as a fresh `torch.Generator` seeded with `seed`."""

    seed: int


class PythonSeed(msgspec.Struct, frozen=True):
    """Arrives as a fresh `random.Random(seed)`."""

    seed: int


class Given(msgspec.Struct, frozen=True):
    """Arrives as the object of this dotted name below `autograder.given`."""

    name: str


class Target(msgspec.Struct, frozen=True):
    """A thing in the worker: attribute `path` of handle `handle`, or of the student's module where that is -1."""

    handle: int
    path: str = ""
    kind: str = ""


# --- encoding ---------------------------------------------------------------------------------------------------------


class Encoder:
    """Turns values into nodes and buffers. `opaque` says what to send for what is no value (else `WireError`)."""

    def __init__(self, opaque: Callable[[object], TargetNode] | None = None) -> None:
        self.buffers: list[memoryview | bytes] = []
        self._opaque = opaque

    def node(self, value: Any, depth: int = 0) -> Node:
        if depth > MAX_DEPTH:
            raise WireError(f"a value is nested more than {MAX_DEPTH} deep")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | numpy.integer) and not isinstance(value, bool):
            number = int(value)
            return number if -(2**63) <= number < 2**64 else IntNode(_bounded(hex(number)))
        if isinstance(value, float | numpy.floating):
            return float(value)
        if isinstance(value, numpy.bool_):
            return bool(value)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, bytes | bytearray):
            return BytesNode(bytes(value))
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, numpy.ndarray):
            return self._array(value)
        if isinstance(value, list):
            return ListNode([self.node(item, depth + 1) for item in value])
        if isinstance(value, tuple):
            return TupleNode([self.node(item, depth + 1) for item in value])
        if isinstance(value, Mapping):
            items = list(value.items())
            return DictNode([self._key(k, depth) for k, _ in items], [self.node(v, depth + 1) for _, v in items])
        if isinstance(value, Set):
            return SetNode([self._key(item, depth) for item in value])
        if isinstance(value, torch.dtype):
            return DtypeNode(str(value).removeprefix("torch."))
        if isinstance(value, TorchSeed | PythonSeed):
            return SeedNode("torch" if isinstance(value, TorchSeed) else "python", value.seed)
        if isinstance(value, Given):
            return GivenNode(value.name)
        if isinstance(value, Target):
            return TargetNode(value.handle, value.path)
        if self._opaque is None:
            raise WireError(f"a {type(value).__name__} cannot be sent")
        return self._opaque(value)

    def _key(self, value: Any, depth: int) -> Node:
        before = len(self.buffers)
        node = self.node(value, depth + 1)
        if len(self.buffers) > before:
            raise WireError("a tensor cannot be a key of a dict or a member of a set")
        return node

    def _buffer(self, data: memoryview | bytes) -> int:
        if len(self.buffers) == MAX_BUFFERS:
            raise WireError(f"more than {MAX_BUFFERS:,} tensors are too many to be sent at once")
        self.buffers.append(data)
        return len(self.buffers) - 1

    def _tensor(self, tensor: torch.Tensor) -> TensorNode:
        name = str(tensor.dtype).removeprefix("torch.")
        if name not in TENSOR_DTYPES:
            raise WireError(f"a tensor of dtype {tensor.dtype} cannot be compared")
        if tensor.layout is not torch.strided or tensor.device.type == "meta" or tensor.is_quantized:
            raise WireError(f"a {tensor.layout} tensor on {tensor.device} cannot be compared; return a dense one")
        _possible(list(tensor.shape), tensor.element_size())
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
        flat = plain.as_strided((plain.numel(),), (1,))  # one entry counts as contiguous with any stride
        data = flat.view(torch.uint8).numpy().data if flat.numel() else b""
        strided = tensor.dim() > 0 and tensor.numel() > 0 and not tensor.is_contiguous()
        return TensorNode(name, list(tensor.shape), self._buffer(data), strided)

    def _array(self, array: numpy.ndarray[Any, Any]) -> ArrayNode:
        if array.dtype.name not in ARRAY_DTYPES:
            raise WireError(f"an array of dtype {array.dtype} cannot be compared")
        _possible(list(array.shape), array.itemsize)
        data = numpy.ascontiguousarray(array).astype(array.dtype.newbyteorder("="), copy=False)
        return ArrayNode(array.dtype.name, list(array.shape), self._buffer(data.tobytes()))


def _possible(shape: list[int], itemsize: int) -> None:
    """Refuse a shape that is too large, also one that is empty only because one of its sides is."""
    if any(side < 0 for side in shape):
        raise WireError("a tensor has a negative side")
    size = itemsize
    for side in shape:
        size *= max(side, 1)
    if len(shape) > MAX_DIMS or size > MAX_BODY_BYTES:
        raise WireError(f"a tensor of shape {tuple(shape[: MAX_DIMS + 1])} is too large to be sent")


def _bounded(text: str) -> str:
    if len(text) > MAX_DIGITS:
        raise WireError(f"an integer of {len(text)} hexadecimal digits is too large to be sent")
    return text


def _text(text: str) -> str:
    text = str.__str__(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WireError("a string holds lone surrogates, which are no characters") from None
    return text


# --- decoding ---------------------------------------------------------------------------------------------------------


class Decoder:
    """Turns nodes and a body back into values. What stays in the other process is turned into something by `target`.

    Tensors arrive on `device`, on the CPU where none is named.
    """

    def __init__(
        self, sizes: list[int], body: bytearray, target: Callable[[Node], Any], device: torch.device | None = None
    ) -> None:
        self._device = device
        if len(sizes) > MAX_BUFFERS or any(size < 0 for size in sizes) or sum(sizes) != len(body):
            raise WireError("the sizes of the buffers do not add up to the body")
        self._unused = set(range(len(sizes)))
        self._buffers: list[memoryview] = []
        view, start = memoryview(body), 0
        for size in sizes:
            self._buffers.append(view[start : start + size])
            start += size
        self._target = target
        self._containers, self._items, self._same_hash = MAX_CONTAINERS, MAX_ITEMS, MAX_SAME_HASH

    def value(self, node: Node, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise WireError(f"a value is nested more than {MAX_DEPTH} deep")
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if isinstance(node, BytesNode):
            return node.data
        if isinstance(node, TensorNode):
            return self._tensor(node)
        if isinstance(node, ArrayNode):
            return self._array(node)
        if isinstance(node, ListNode | TupleNode):
            self._count(len(node.items))
            values = [self.value(item, depth + 1) for item in node.items]
            return values if isinstance(node, ListNode) else tuple(values)
        if isinstance(node, SetNode):
            self._count(len(node.items))
            keys = self._keys(node.items, depth)
            members = frozenset(keys)
            if len(members) < len(keys):
                raise WireError("a set has the same member twice")
            return members
        if isinstance(node, DictNode):
            return self._dict(node, depth)
        if isinstance(node, IntNode):
            try:
                return int(_bounded(node.digits), 16)
            except ValueError:
                raise WireError("a large integer is not in hexadecimal") from None
        if isinstance(node, DtypeNode):
            if node.name not in TENSOR_DTYPES:
                raise WireError("a dtype is not one of the language's")
            return TENSOR_DTYPES[node.name]
        return self._target(node)

    def _count(self, items: int) -> None:
        self._containers -= 1
        self._items -= items
        if self._containers < 0 or self._items < 0:
            raise WireError(f"more than {MAX_CONTAINERS:,} lists or {MAX_ITEMS:,} items are too many for one message")

    def _keys(self, nodes: list[Node], depth: int) -> list[Any]:
        """Keys of a dict or members of a set. Too many with one hash are refused before they are put into a table."""
        before = len(self._unused)
        keys = [self.value(node, depth + 1) for node in nodes]
        if len(self._unused) < before:
            raise WireError("a tensor cannot be a key of a dict or a member of a set")
        try:
            hashes = Counter(map(hash, keys))
        except TypeError as error:
            raise WireError(f"a key cannot be one: {error}") from None
        self._same_hash -= sum(count * (count - 1) // 2 for count in hashes.values())
        if self._same_hash < 0:
            raise WireError(
                f"more than {MAX_SAME_HASH:,} pairs of keys with one hash are an attack on whoever reads them"
            )
        return keys

    def _dict(self, node: DictNode, depth: int) -> dict[Any, Any]:
        if len(node.keys) != len(node.values):
            raise WireError("a dict has more keys than values, or fewer")
        self._count(2 * len(node.keys))
        values = [self.value(value, depth + 1) for value in node.values]
        result = dict(zip(self._keys(node.keys, depth), values, strict=True))
        if len(result) < len(node.keys):
            raise WireError("a dict has the same key twice")
        return result

    def _bytes(self, buffer: int, shape: list[int], itemsize: int) -> memoryview:
        if buffer not in self._unused:  # each is copied, so one that could be named often could fill the memory
            raise WireError("a tensor names a buffer that is not there, or one that another tensor has named")
        self._unused.discard(buffer)
        _possible(shape, itemsize)
        count = 1
        for side in shape:
            count *= side
        data = self._buffers[buffer]
        if count * itemsize != len(data):
            raise WireError("a tensor's shape does not fit its bytes")
        return data

    def _tensor(self, node: TensorNode) -> torch.Tensor:
        dtype = TENSOR_DTYPES.get(node.dtype)
        if dtype is None:
            raise WireError("a tensor has a dtype that is not one of the language's")
        data = self._bytes(node.buffer, node.shape, dtype.itemsize)
        if not len(data):
            return torch.empty(node.shape, dtype=dtype, device=self._device)
        flat = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        if dtype is torch.bool and int(flat.max()) > 1:
            raise WireError("a bool is neither 0 nor 1")
        tensor = flat.view(dtype).reshape(node.shape)
        if self._device is not None:
            tensor = tensor.to(self._device)
        if node.strided and node.shape:
            return torch.stack([tensor, torch.zeros_like(tensor)], dim=-1)[..., 0]
        return tensor

    def _array(self, node: ArrayNode) -> numpy.ndarray[Any, Any]:
        dtype = ARRAY_DTYPES.get(node.dtype)
        if dtype is None:
            raise WireError("an array has a dtype that is not one of the language's")
        data = self._bytes(node.buffer, node.shape, dtype.itemsize)
        if dtype.kind == "b" and len(data) and max(data) > 1:
            raise WireError("a bool is neither 0 nor 1")
        return numpy.frombuffer(bytearray(data), dtype=dtype).reshape(node.shape)


# --- frames -----------------------------------------------------------------------------------------------------------

_HEADER = msgspec.msgpack.Encoder()
_QUESTION = msgspec.msgpack.Decoder(Question)
_REPLY = msgspec.msgpack.Decoder(Reply)


def sizes(buffers: list[memoryview | bytes]) -> list[int]:
    return [buffer.nbytes if isinstance(buffer, memoryview) else len(buffer) for buffer in buffers]


def frame(message: Question | Reply, buffers: list[memoryview | bytes]) -> list[bytes | memoryview]:
    """The pieces to write, in order, that make one frame."""
    header = _HEADER.encode(message)
    body = sum(message.sizes)
    if len(header) > MAX_HEADER_BYTES or body > MAX_BODY_BYTES:
        raise WireError(f"a message of {len(header) + body:,} bytes is too large to be sent")
    return [PREFIX.pack(len(header), body) + header, *buffers]


def lengths(prefix: bytes) -> tuple[int, int]:
    """Header and body lengths from the first bytes of a frame, refused where they are over the caps."""
    header, body = PREFIX.unpack(prefix)
    for name, size, most in (("header", header, MAX_HEADER_BYTES), ("body", body, MAX_BODY_BYTES)):
        if size > most:
            raise WireError(f"a frame announces a {name} of {size:,} bytes, more than is allowed")
    return header, body


def question(header: bytes) -> Question:
    return _decode(_QUESTION, header)


def reply(header: bytes) -> Reply:
    return _decode(_REPLY, header)


def _decode(decoder: msgspec.msgpack.Decoder[M], header: bytes) -> M:
    try:
        return decoder.decode(header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise WireError(f"a header cannot be read: {type(error).__name__}") from None
