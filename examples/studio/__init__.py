"""What the example archive is made with: drawings, sounds, spoken sentences, subtitles, media files."""
