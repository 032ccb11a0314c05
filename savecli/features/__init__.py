"""Frames, waveforms and text to model inputs."""
