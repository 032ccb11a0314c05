"""Drawn scenes, one file per kind of place. A scene is `draw(page, t)`, with `t` in seconds since its cut."""
