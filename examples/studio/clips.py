"""The clips of the archive: what each one shows, says and sounds like, and the form it is kept in."""

from __future__ import annotations

from functools import partial

from studio import sounds
from studio.film import Clip, Draw, Format, Line, Shot, Sound
from studio.scenes import events, family, lectures, nature, sea, trips
from studio.speech import speak

WEBM = Format(
    video_codec="libvpx-vp9",
    video_options=(("crf", "38"), ("b", "0"), ("deadline", "good"), ("cpu-used", "2")),
    audio_codec="libopus",
    audio_rate_hz=48_000,
    audio_bits_per_s=40_000,
)
MATROSKA = Format(audio_codec="libopus", audio_rate_hz=48_000, audio_bits_per_s=40_000)
QUICKTIME = Format(fps=30, audio_rate_hz=44_100, audio_layout="stereo", audio_bits_per_s=64_000)
BUSY = Format(video_options=(("crf", "30"), ("preset", "slow"), ("tune", "animation")))
LECTURE = Format(
    video_options=(("crf", "31"), ("preset", "slow"), ("tune", "animation")),
    fps=12,
    gop_s=10.0,
    audio_rate_hz=24_000,
    audio_bits_per_s=32_000,
)

_LECTURE_START_S = 1.0
_SENTENCE_GAP_S = 0.55
_SLIDE_GAP_S = 1.3

# Each part of the lecture: what is seen while its first sentences are spoken, what then, and the sentences.
_LECTURE: tuple[tuple[Draw, Draw, tuple[str, ...]], ...] = (
    (
        lectures.room_title,
        lectures.lecturer,
        (
            "Good morning, and welcome to the third lecture of our course about the brain.",
            "Today we look at diseases that change the way people move.",
            "We begin with a healthy muscle, then we compare two disorders, and we end with treatment.",
        ),
    ),
    (
        lectures.room_muscle,
        lectures.slide_muscle,
        (
            "Every movement begins in the motor cortex.",
            "From there, a signal travels down the spinal cord and tells one muscle to pull.",
            "At the same moment, a second signal tells the opposite muscle to let go.",
            "The messenger that makes a muscle let go is called gamma amino butyric acid.",
            "When this works well, you do not notice it at all.",
            "Without it, both muscles pull at once, and the body cannot bend.",
        ),
    ),
    (
        lectures.slide_parkinson,
        lectures.room_parkinson,
        (
            "The first disorder is Parkinson's disease.",
            "Here the cells that make dopamine slowly die.",
            "People move less, their steps become short, and their hands shake at rest.",
            "The first sign is often the loss of smell.",
            "Medicine can replace the dopamine for many years.",
            "Exercise and music also help people to walk, and every step counts.",
        ),
    ),
    (
        lectures.room_stiff_person,
        lectures.slide_stiff_person,
        (
            "Now we come to a condition that most doctors never meet.",
            "SPS, or Stiff Person Syndrome, is a rare neurologic disease that makes the muscles of the body rigid.",
            "The immune system attacks the brakes of the nervous system.",
            "A sudden noise or a strong feeling can set off a painful spasm, and the person may fall.",
            "About one or two people in a million have it, and many wait for years until somebody finds the cause.",
        ),
    ),
    (
        lectures.slide_treatment,
        lectures.lecturer,
        (
            "What helps these patients?",
            "Diazepam and physical therapy relax the muscles.",
            "In severe cases, antibodies from healthy donors calm the immune system.",
            "Next week we talk about sleep and memory.",
            "Thank you for listening, and see you on Friday.",
        ),
    ),
)


def clips() -> tuple[Clip, ...]:
    """All clips, in the order of their paths."""
    return (
        Clip(
            path="events/football-goal.mp4",
            title="The winning goal",
            description="Last minute of the cup final, filmed from the stand. More: penguins, volcanoes.",
            shots=(Shot(8.0, events.football_shot), Shot(7.0, events.football_joy)),
            lines=(
                Line(0.4, "She takes the ball past the last defender.", "awb"),
                Line(3.3, "She shoots.", "awb"),
                Line(6.0, "What a beautiful goal, in the last minute of the match.", "awb"),
                Line(10.4, "The whole stadium is singing.", "awb"),
            ),
            sounds=(Sound(0.0, partial(sounds.crowd, 15.0, goal_s=events.GOAL_S), 0.5),),
            subtitles="whisper",
            format=BUSY,
        ),
        Clip(
            path="events/rocket launch.mp4",
            shots=(Shot(11.0, events.launch_pad), Shot(7.0, events.ascent)),
            lines=(
                Line(0.6, "Ten, nine, eight, seven, six, five, four, three, two, one."),
                Line(8.3, "We have lift off."),
                Line(11.8, "Now we are climbing through the clouds. All engines are running."),
            ),
            sounds=(Sound(0.0, partial(sounds.rocket, 18.0, ignition_s=events.IGNITION_S), 0.45),),
        ),
        Clip(
            path="family/Grandma makes tea.webm",
            shots=(Shot(6.0, family.kitchen), Shot(8.0, family.pouring_tea)),
            lines=(
                Line(5.4, "Now the water is hot.", "slt"),
                Line(7.4, "Pour it over the tea leaves, and wait for three minutes.", "slt"),
            ),
            sounds=(
                Sound(0.0, partial(sounds.kettle, 5.0), 0.4),
                Sound(6.9, partial(sounds.pouring, 5.4), 0.4),
            ),
            subtitles="vtt",
            format=WEBM,
        ),
        Clip(
            path="family/birthday-party.mov",
            shots=(Shot(5.0, family.birthday_cake), Shot(9.0, family.birthday_table)),
            lines=(
                Line(0.8, "Happy birthday to you.", "slt"),
                Line(3.4, "Five years old today.", "slt"),
                Line(5.8, "Make a wish, and blow out the candles.", "slt"),
            ),
            sounds=(Sound(9.9, partial(sounds.applause, 4.1), 0.4),),
            subtitles="srt",
            format=QUICKTIME,
        ),
        Clip(
            path="family/dog-on-the-beach.mp4",
            shots=(Shot(6.5, sea.dog_running), Shot(4.5, sea.dog_sitting)),
            sounds=(
                Sound(0.0, partial(sounds.waves, 11.0), 0.35),
                Sound(2.2, sounds.bark, 0.6),
                Sound(4.6, sounds.gull, 0.25),
                Sound(8.4, sounds.bark, 0.6),
            ),
        ),
        Clip(
            path="lectures/chess-endgame.mkv",
            shots=(Shot(8.0, lectures.chess_table), Shot(9.0, lectures.chess_board)),
            lines=(
                Line(0.8, "Look at this position and find the best move.", "awb"),
                Line(4.6, "Black has left the king without a guard.", "awb"),
                Line(8.6, "The white queen takes the black knight, and this is checkmate.", "awb"),
                Line(13.6, "A perfect end of the game.", "awb"),
            ),
            sounds=(Sound(0.0, partial(sounds.murmur, 17.0), 0.03), Sound(10.6, sounds.click, 0.5)),
            subtitles="embedded",
            format=MATROSKA,
            title="Chess lesson: the last move",
        ),
        _lecture("lectures/neurology-03.mp4"),
        Clip(
            path="nature/campfire.mkv",
            shots=(Shot(12.0, nature.campfire),),
            sounds=(
                Sound(0.0, partial(sounds.campfire, 12.0), 0.35),
                Sound(0.0, partial(sounds.guitar, 12.0), 0.5),
            ),
            format=MATROSKA,
        ),
        Clip(
            path="nature/garden-timelapse.webm",
            shots=(Shot(12.0, nature.garden),),
            format=Format(video_codec="libvpx-vp9", video_options=WEBM.video_options, audio_codec=None),
        ),
        Clip(
            path="nature/northern-lights.mov",
            shots=(Shot(10.0, nature.northern_lights),),
            format=QUICKTIME,
        ),
        Clip(
            path="trips/Café in the rain – Zürich.mp4",
            shots=(Shot(7.5, trips.cafe_window), Shot(7.5, trips.cafe_street)),
            lines=(
                Line(0.8, "It has been raining since this morning.", "slt"),
                Line(4.0, "So we ordered two more cups of coffee.", "slt"),
                Line(8.4, "In the afternoon we want to see the old town, with or without umbrellas.", "slt"),
            ),
            sounds=(Sound(0.0, partial(sounds.rain, 15.0), 0.28),),
            subtitles="srt",
        ),
        Clip(
            path="trips/Night train to the mountains [k7TnZq2xWbA].webm",
            shots=(Shot(8.0, trips.platform), Shot(6.0, trips.viaduct), Shot(8.0, trips.compartment)),
            lines=(
                Line(2.2, "The night train to the mountains leaves from platform seven.", "slt"),
                Line(9.0, "We travel over the old stone bridge."),
                Line(14.6, "I can see the moon above the snow.", "slt"),
                Line(17.8, "Tomorrow morning we will be in the mountains.", "slt"),
            ),
            sounds=(Sound(0.3, sounds.chime, 0.4), Sound(8.0, partial(sounds.train, 14.0), 0.5)),
            subtitles="youtube",
            format=WEBM,
        ),
        Clip(
            path="trips/Sailing at dusk.mp4",
            shots=(Shot(9.0, sea.sailing), Shot(7.0, sea.lighthouse)),
            lines=(
                Line(1.2, "The wind is calm tonight, and the sun goes down behind the islands."),
                Line(9.8, "We are passing the old lighthouse on the left side of the bay."),
            ),
            sounds=(Sound(0.0, partial(sounds.waves, 16.0), 0.35), Sound(6.6, sounds.gull, 0.2)),
            subtitles="srt",
        ),
    )


def _lecture(path: str) -> Clip:
    """The lecture: a part begins with the wide view and cuts to the near one after two sentences."""
    shots: list[Shot] = []
    lines: list[Line] = []
    now_s, cut_s = _LECTURE_START_S, 0.0
    for first, then, sentences in _LECTURE:
        for number, text in enumerate(sentences):
            if number == 2:
                shots.append(_shot(cut_s, now_s - _SENTENCE_GAP_S / 2, first))
                cut_s += shots[-1].duration_s
            lines.append(Line(now_s, text))
            now_s = round(now_s + speak(text, "rms").duration_s + _SENTENCE_GAP_S, 2)
        now_s = round(now_s + _SLIDE_GAP_S - _SENTENCE_GAP_S, 2)
        shots.append(_shot(cut_s, now_s - _SLIDE_GAP_S / 2, then))
        cut_s += shots[-1].duration_s
    return Clip(
        path=path,
        shots=tuple(shots),
        lines=tuple(lines),
        sounds=(Sound(0.0, partial(sounds.murmur, cut_s), 0.02),),
        subtitles="srt",
        format=LECTURE,
        title="Movement disorders, lecture 3",
    )


def _shot(start_s: float, end_s: float, draw: Draw) -> Shot:
    """A shot that lasts a whole number of frames, so that sound and picture stay together."""
    return Shot(round((end_s - start_s) * LECTURE.fps) / LECTURE.fps, draw)
