"""Fixtures of the transcript room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcript.tiny_whisper import write_tiny_whisper


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory) -> Path:
    """Folder of a real model with random weights."""
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def no_hub_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the model hub; returns where it is."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"
