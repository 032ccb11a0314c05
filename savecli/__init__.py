"""save: search a video archive by what is seen, heard and said."""

__version__ = "0.1.0"
