"""Tests mirror the rooms; `make_media` writes the media they read."""
