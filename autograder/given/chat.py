"""What post-training is practised and tested with: a tokenizer with control tokens, a model of one table, a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class Pieces:
    """A tokenizer that takes, at each place of a text, the longest of its pieces that fits, or else one UTF-8 byte.

    Ids 0 and 1 are `pad_id` and `eos_id`, which no text gives. The control tokens follow in their order, then the 256
    bytes, then the pieces. `encode` finds control tokens in a text, too; `encode_ordinary` takes the same characters
    for text, as the method of that name in tiktoken does. decode(encode_ordinary(text)) is `text`.

    >>> tokenizer = Pieces(["ab"], controls=["<|end|>"])
    >>> tokenizer.encode("ab<|end|>"), len(tokenizer.encode_ordinary("ab<|end|>"))
    ([259, 2], 8)
    """

    def __init__(self, pieces: Sequence[str] = (), controls: Sequence[str] = ()) -> None:
        self.pad_id, self.eos_id = 0, 1
        self.controls = list(controls)
        self._bytes = 2 + len(self.controls)  # the id of byte 0
        tokens = [b"", b"", *(c.encode() for c in self.controls), *(bytes([b]) for b in range(256))]
        self._tokens = tokens + [piece.encode() for piece in pieces]
        self._pieces = {piece: self._bytes + 256 + i for i, piece in enumerate(pieces)}
        self._controls = {control: 2 + i for i, control in enumerate(self.controls)}
        self.vocab_size = len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, in which a control token is one id."""
        return self._encode(text, self._controls | self._pieces)

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text, in which nothing is a control token."""
        return self._encode(text, self._pieces)

    def _encode(self, text: str, known: Mapping[str, int]) -> list[int]:
        longest_first = sorted(known, key=len, reverse=True)
        ids: list[int] = []
        place = 0
        while place < len(text):
            found = next((piece for piece in longest_first if text.startswith(piece, place)), "")
            ids += [known[found]] if found else [self._bytes + byte for byte in text[place].encode()]
            place += len(found) or 1
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. Bytes that are no UTF-8 become U+FFFD; pad and eos become nothing."""
        return b"".join(self._tokens[i] for i in ids).decode(errors="replace")

    def id(self, control: str) -> int:
        """The id of a control token. KeyError where there is none."""
        return self._controls[control]


class Table(nn.Module):
    """A language model of one parameter: the logits after token i are `table[i]`, (V, V).

    `events` says in which order its calls with a graph, "forward", and the passes back through them, "backward", came.

    >>> Table(torch.eye(3))(torch.tensor([[2, 0]])).tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """

    def __init__(self, table: Tensor, gradient: Tensor | None = None) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.table.grad = None if gradient is None else gradient.clone()
        self.events: list[str] = []

    def forward(self, input_ids: Tensor, scale: Tensor | None = None) -> Tensor:
        """input_ids (B, T) -> logits (B, T, V), times `scale` (B, T) where it is given."""
        logits = self.table[input_ids]
        if logits.requires_grad:
            self.events.append("forward")
            logits.register_hook(self._note)  # type: ignore[no-untyped-call]
        return logits if scale is None else logits * scale[..., None]

    def _note(self, gradient: Tensor) -> None:
        self.events.append("backward")

    def gradient(self) -> Tensor | None:
        """The gradient of the table as it is now."""
        return None if self.table.grad is None else self.table.grad.clone()


class Reader:
    """Reads an answer in a document: `answers` maps documents to (answer, confidence); ("", 0.0) for all others.

    `asked` holds the pairs of question and document that it was asked about, in order.

    >>> Reader({"Tea is hot.": ("hot", 0.9)})("How is tea?", "Tea is hot.")
    ('hot', 0.9)
    """

    def __init__(self, answers: Mapping[str, tuple[str, float]]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, str]] = []

    def __call__(self, question: str, document: str) -> tuple[str, float]:
        self.asked.append((question, document))
        answer, confidence = self.answers.get(document, ("", 0.0))
        return answer, confidence
