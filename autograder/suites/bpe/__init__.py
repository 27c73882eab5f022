"""Hidden suite of the byte-pair-encoding assignment."""
