"""Annotation files to clips and captions; knows no tensors."""
