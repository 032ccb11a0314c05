"""The cases of a made folder of golden data, one module for each kind; `tests/make_golden.py` writes them all."""
