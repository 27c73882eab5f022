"""A trained subword tokenizer for the assignments after the first: SentencePiece's, behind four methods.

Kudo and Richardson 2018 (arXiv 1808.06226). It is trained in memory, leaves no file behind, and gives the same pieces
for the same texts each time.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import sentencepiece


class Tokenizer:
    """Text to ids and back. `decode(encode(text)) == text` for every text without specials and without U+2581.

    Ids 0 to 3 are `pad_id`, `unk_id`, `bos_id` and `eos_id`; `encode` adds none of them. The specials follow in their
    order. A special in a text is always one id and takes the space before it with it, as any piece does: a mask stands
    for a word *and its space*. `decode` writes that space.

    >>> tokenizer = Tokenizer.train(["some text"], 300, specials=["[MASK]"])
    >>> tokenizer.id("[MASK]"), tokenizer.encode("[MASK]")
    (4, [4])
    """

    def __init__(self, model: bytes, specials: Sequence[str] = ()) -> None:
        """A tokenizer of a serialised SentencePiece model in which `specials` are user-defined symbols."""
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.vocab_size: int = self._pieces.vocab_size()
        self.pad_id: int = self._pieces.pad_id()
        self.unk_id: int = self._pieces.unk_id()
        self.bos_id: int = self._pieces.bos_id()
        self.eos_id: int = self._pieces.eos_id()
        self._space: int = self._pieces.piece_to_id("\u2581")
        self._specials = {self.id(special) for special in specials}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, specials: Sequence[str] = ()) -> Tokenizer:
        """A tokenizer of at most `vocab_size` ids, learned from the lines of `texts` by byte-pair encoding.

        A character that is not in `texts` becomes the ids of its UTF-8 bytes, so nothing is unknown.
        ValueError where `vocab_size` has no room for 4 ids, the specials, 256 bytes and the characters of `texts`.
        """
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(line for text in texts for line in text.split("\n") if line),
                model_writer=model,
                model_type="bpe",
                vocab_size=vocab_size,
                hard_vocab_limit=False,
                user_defined_symbols=list(specials),
                required_chars="\u2581",
                character_coverage=1.0,
                byte_fallback=True,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                max_sentence_length=1 << 20,
                num_threads=1,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise ValueError(f"No tokenizer of {vocab_size} ids can be trained on these texts: {error}") from None
        return cls(model.getvalue(), specials)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; [] for the empty text."""
        ids: list[int] = self._pieces.encode(text)
        after = [*ids[1:], -1]
        return [i for i, following in zip(ids, after) if not (i == self._space and following in self._specials)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. Bytes that are no UTF-8 become U+FFFD; pad, bos and eos become nothing."""
        spaced: list[int] = []
        for i in ids:
            spaced += [self._space, i] if i in self._specials else [i]
        text: str = self._pieces.decode(spaced)
        return text

    def id(self, piece: str) -> int:
        """The id of a piece or special. KeyError where there is none."""
        found: int = self._pieces.piece_to_id(piece)
        if self._pieces.id_to_piece(found) != piece:
            raise KeyError(piece)
        return found
