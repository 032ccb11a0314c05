"""Files to utterances: subtitles that exist, else speech recognition."""
