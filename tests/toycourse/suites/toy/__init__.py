"""The hidden suite of the toy assignment."""
