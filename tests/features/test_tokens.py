"""Token numbers against the published tokenizer, and the rules around it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
import pytest

from savecli.core.errors import SaveError
from savecli.features.tokens import REFERENCE_MIN_CHARACTERS, ClipTokenizer, clip_merges


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer(clip_merges(), repair=ftfy.fix_text)


@pytest.fixture(scope="module")
def reference_tokenizer() -> ClipTokenizer:
    return ClipTokenizer(clip_merges(), repair=ftfy.fix_text, min_characters=REFERENCE_MIN_CHARACTERS)


@pytest.fixture(scope="module")
def cases(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "tokens.json").read_text(encoding="utf-8"))


def test_every_golden_text_has_its_numbers(cases, reference_tokenizer):
    assert reference_tokenizer.vocabulary_size == cases["vocab_size"]
    assert (reference_tokenizer.start_id, reference_tokenizer.end_id) == (cases["sot"], cases["eot"])
    for case in cases["cases"]:
        for name, expected in case.items():
            if name.startswith("ids_"):
                max_tokens = int(name.removeprefix("ids_"))
                assert reference_tokenizer.ids(case["text"], max_tokens=max_tokens) == expected, case["text"]


def test_short_texts_have_tokens_unless_the_reference_is_asked_for(tokenizer, reference_tokenizer):
    assert reference_tokenizer.ids("cat", max_tokens=32) == []
    assert tokenizer.ids("cat", max_tokens=32) == [49406, 2368, 49407]
    assert tokenizer.ids("", max_tokens=32) == [49406, 49407]
    assert tokenizer.ids(None, max_tokens=32) == []


def texts_of_all_kinds(count: int) -> list[str]:
    """Random strings of assigned characters; what is unassigned differs between versions of Unicode's tables."""
    letters = random.Random(0)
    assigned = [chr(code) for code in range(0x20, 0x3000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    pools = (assigned, assigned[:500], list("abcdefghij  '''stremvldKS0123.,;!?-_ſKéß&<>|"))
    return ["".join(letters.choices(pools[n % 3], k=letters.randrange(1, 30))) for n in range(count)]


def test_any_text_has_the_numbers_of_open_clip(tokenizer):
    from open_clip.tokenizer import SimpleTokenizer

    texts = texts_of_all_kinds(3000)
    theirs = SimpleTokenizer()(texts).numpy()
    assert np.array_equal(tokenizer.rows(texts, max_tokens=77).ids, theirs)


def test_rows_are_filled_up_and_masked(reference_tokenizer):
    rows = reference_tokenizer.rows(["a dog", "cat", None], max_tokens=6)
    assert rows.ids.tolist() == [[49406, 320, 1929, 49407, 0, 0], [0] * 6, [0] * 6]
    assert rows.mask.tolist() == [[True] * 4 + [False] * 2, [False] * 6, [False] * 6]
    assert reference_tokenizer.rows([], max_tokens=6).ids.shape == (0, 6)


def test_what_is_too_long_keeps_its_end_mark(tokenizer):
    text = "one two three four five six seven " * 20
    for max_tokens in (2, 3, 32, 77):
        ids = tokenizer.ids(text, max_tokens=max_tokens)
        assert len(ids) == max_tokens
        assert ids[:-1] == tokenizer.ids(text, max_tokens=1000)[: max_tokens - 1]
        assert ids[-1] == tokenizer.end_id
    with pytest.raises(ValueError, match="max_tokens is 1; allowed: 2 or more"):
        tokenizer.ids(text, max_tokens=1)


def test_another_file_is_no_vocabulary(tmp_path):
    other = tmp_path / "merges.txt"
    other.write_text("#version\na b", encoding="utf-8")
    with pytest.raises(SaveError, match=r"merges\.txt as CLIP's vocabulary: it makes 515 tokens instead of 49408"):
        ClipTokenizer(other, repair=str)


def test_a_missing_vocabulary_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("savecli.features.tokens.find_spec", lambda name: None)
    with pytest.raises(SaveError, match="open_clip, which is not installed") as caught:
        clip_merges()
    assert "pip install" in caught.value.fix


def test_the_vocabulary_is_read_without_loading_open_clip_or_torch():
    script = (
        "import sys\n"
        "from savecli.features.tokens import ClipTokenizer, clip_merges\n"
        "assert ClipTokenizer(clip_merges(), repair=str).ids('a dog', max_tokens=8)\n"
        "heavy = {'torch', 'open_clip', 'torchvision'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_smaller_vocabulary_knows_the_first_merges_alone() -> None:
    small = ClipTokenizer(clip_merges(), repair=str, vocabulary_size=600)
    ids = small.ids("the thermometer", max_tokens=77)
    assert small.vocabulary_size == 600
    assert (ids[0], ids[-1]) == (598, 599)
    assert max(ids[1:-1]) < 598
    assert len(ids) > len(ClipTokenizer(clip_merges(), repair=str).ids("the thermometer", max_tokens=77))
    with pytest.raises(ValueError, match="allowed: 514 to 49408"):
        ClipTokenizer(clip_merges(), repair=str, vocabulary_size=500)


def test_a_small_vocabulary_is_the_beginning_of_the_whole(tokenizer):
    small = ClipTokenizer(clip_merges(), repair=str, vocabulary_size=4096)
    assert small.vocabulary_size == 4096
    assert (small.start_id, small.end_id) == (4094, 4095)
    frequent = "a man in the red car"
    assert small.ids(frequent, max_tokens=32)[1:-1] == tokenizer.ids(frequent, max_tokens=32)[1:-1]
    rare = "hippopotamus"
    assert len(small.ids(rare, max_tokens=32)) > len(tokenizer.ids(rare, max_tokens=32))
    letters = ClipTokenizer(clip_merges(), repair=str, vocabulary_size=514)
    assert len(letters.ids(rare, max_tokens=32)) == len(rare) + 2


@pytest.mark.parametrize("size", [513, 49409])
def test_a_vocabulary_of_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=f"vocabulary_size is {size}; allowed: 514 to 49408"):
        ClipTokenizer(clip_merges(), repair=str, vocabulary_size=size)
