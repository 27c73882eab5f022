# Two commands: `make demo` grades the embedded class, `make test` checks this repository.
# Each makes .venv and installs the package there once; again only when pyproject.toml changes.

PY ?= $(shell for python in python3.11 python3; do $$python -c pass 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-full lint clean
.DELETE_ON_ERROR:

# The classes of all eight assignments take some twenty minutes on two cores: `.venv/bin/autograder demo`.
CLASSES ?= bpe attention

demo: $(INSTALLED)
	$(BIN)/autograder demo $(CLASSES)

test: lint
	$(BIN)/pytest -m "not full" -n 2

test-full: $(INSTALLED)
	$(BIN)/pytest -m full -n 2 --dist loadfile --durations 15

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml
	@"$(PY)" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "'$(PY)' is no Python 3.11 or newer with venv (Debian: apt install python3-venv)."; \
		echo "Name one that is: make PY=/path/to/python3"; exit 1; }
	@echo "Installing into .venv. This takes some minutes, once."
	"$(PY)" -m venv .venv
	$(BIN)/python -m pip install -e '.[test]'
	@touch $@

# Everything that was made here but .venv, which takes minutes to make again.
clean:
	rm -rf report build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
