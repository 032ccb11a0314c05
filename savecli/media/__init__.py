"""Files to seconds, frames, waveforms and clip spans."""
