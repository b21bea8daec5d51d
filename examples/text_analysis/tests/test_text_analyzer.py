# ruff: noqa: D103  the name of a test says what it promises
"""The analyser's promises, and the corpus it is shown with; the stopwords come from the file beside, not Slither."""

import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import _tokens
import text_analyzer
from _readability import readability, syllables
from _sentiment import NEGATIVE, POSITIVE, THRESHOLD, sentiment
from text_analyzer import Document, analyze_batch, straight_count, worker_stats

EXAMPLE = Path(__file__).resolve().parents[1]
STOPWORDS = frozenset((EXAMPLE / "stopwords.txt").read_text(encoding="utf-8").split())
CORPUS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((EXAMPLE / "corpus").iterdir())}


@pytest.fixture(autouse=True)
def fresh_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(text_analyzer, "_stopwords", lambda _: STOPWORDS)
    text_analyzer.reset()
    yield
    text_analyzer.reset()


def documents(*texts: str) -> list[Document]:
    return [{"name": f"d{number}", "text": text, "stopwords": 1} for number, text in enumerate(texts)]


def corpus() -> list[Document]:
    return [{"name": name, "text": text, "stopwords": 1} for name, text in CORPUS.items()]


def label(text: str) -> str:
    return sentiment(_tokens.sentences(text))["label"]


# --- words and sentences --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("12 + 3 = 15 !?", []),
        ("Don't DON\u2019T don't", ["don't", "don't", "don't"]),
        ("'Quoted,' he said; rock 'n' roll", ["quoted", "he", "said", "rock", "n", "roll"]),
        ("''double''", ["double"]),
        ("one''two ' ''", ["one", "two"]),
        ("Café Győr naïve ÜBER", ["café", "győr", "naïve", "über"]),
        ("snake_case and 3rd, x² ½", ["snake", "case", "and", "rd", "x"]),
        ("well-known…ends", ["well", "known", "ends"]),
        ("Москва 東京", ["москва", "東京"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert _tokens.words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("... !", 0),
        ("No end mark", 1),
        ("One. Two! Three?", 3),
        ('"Really?" she said. (Yes.) Fine', 4),
        ("Mr. and Mrs. Tate paid Dr. Hall 3.5 pounds.", 1),
        ("Heading\n\nBody of it.", 2),
        ("Wait... what?!", 2),
    ],
)
def test_sentences(text: str, expected: int) -> None:
    assert len(_tokens.sentences(text)) == expected


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_sentences_keep_every_word(text: str) -> None:
    assert [word for sentence in _tokens.sentences(text) for word in sentence] == _tokens.words(text)


def test_an_excerpt_is_one_short_line() -> None:
    assert _tokens.excerpt("  Short\n text ") == "Short text"
    assert _tokens.excerpt("") == ""
    assert _tokens.excerpt("x" * 500) == "x" * 79 + "…"
    for text in CORPUS.values():
        line = _tokens.excerpt(text)
        assert len(line) <= 80
        assert line.endswith("…")
        assert "\n" not in line


# --- readability ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (1, "the a stone make walked failed makes clothes cats whale don't we're nth shh through weren't"),
        (
            2,
            "table wanted houses wishes settled going quiet didn't hopeful careless safely café marriage nation being "
            "rhythm",
        ),
        (3, "radio piano beautiful happily area another serious studying recipe"),
        (4, "society information reliable experience"),
        (5, "university imagination electricity refrigerator"),
    ],
)
def test_syllables(expected: int, words: str) -> None:
    assert {word: syllables(word.lower()) for word in words.split()} == dict.fromkeys(words.split(), expected)


def test_readability_follows_the_formulas() -> None:
    # Six words of one syllable in one sentence: 206.835 - 1.015 * 6 - 84.6, and 0.39 * 6 + 11.8 - 15.59.
    assert readability(1, ["the", "cat", "sat", "on", "the", "mat"]) == {"flesch_reading_ease": 116.15, "grade": -1.45}
    assert readability(0, []) == {"flesch_reading_ease": 0.0, "grade": 0.0}


def test_long_words_and_sentences_read_harder() -> None:
    easy, hard = analyze_batch(
        documents(
            "The dog ran. It saw a cat. The cat hid.",
            "Notwithstanding considerable administrative opposition, the organisation reconsidered its regulatory "
            "obligations.",
        )
    )
    assert easy["readability"]["flesch_reading_ease"] > 90
    assert hard["readability"]["flesch_reading_ease"] < 10
    assert easy["readability"]["grade"] < 3
    assert hard["readability"]["grade"] > 12


# --- sentiment ------------------------------------------------------------------------------------


def test_the_word_lists_are_large_and_disjoint() -> None:
    assert len(POSITIVE) >= 120
    assert len(NEGATIVE) >= 120
    assert not POSITIVE & NEGATIVE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The soup was good.", "positive"),
        ("The soup was not good.", "negative"),
        ("The soup wasn\u2019t very good.", "negative"),
        ("It was never a good day.", "negative"),
        ("No problem at all.", "positive"),
        ("It was not bad.", "positive"),
        ("I could not find it. Good.", "positive"),  # a negation ends with its sentence
        ("Not that anybody much minded, the soup was good.", "positive"),  # and reaches three words
        ("The soup was soup.", "neutral"),
        ("Good start, bad end.", "neutral"),
        ("", "neutral"),
    ],
)
def test_negation_turns_the_sign(text: str, expected: str) -> None:
    assert label(text) == expected


def test_the_label_follows_the_score() -> None:
    for result in analyze_batch(corpus()):
        score = result["sentiment"]["score"]
        assert -1 < score < 1
        expected = "positive" if score >= THRESHOLD else "negative" if score <= -THRESHOLD else "neutral"
        assert result["sentiment"]["label"] == expected


# --- one document ---------------------------------------------------------------------------------


def test_an_analysis_of_known_text() -> None:
    (result,) = analyze_batch(documents("Bees hum. The bees love clover, and clover loves bees!"))
    assert result["name"] == "d0"
    assert result["pid"] == os.getpid()
    assert (result["words"], result["sentences"]) == (10, 2)
    assert result["unique_words"] == 7
    assert result["content_words"] == 8
    assert result["top_words"] == [["bees", 3], ["clover", 2], ["hum", 1], ["love", 1], ["loves", 1]]
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("text", ["", "   \n", "12345 ... 6 €", "''"])
def test_a_document_without_words_is_all_zeros(text: str) -> None:
    (result,) = analyze_batch(documents(text))
    assert result["words"] == result["sentences"] == result["unique_words"] == result["content_words"] == 0
    assert result["top_words"] == []
    assert result["readability"] == {"flesch_reading_ease": 0.0, "grade": 0.0}
    assert result["sentiment"] == {"label": "neutral", "score": 0.0}


def test_an_empty_batch() -> None:
    assert analyze_batch([]) == []
    assert straight_count([]) == []
    assert worker_stats()["documents"] == 0


# --- the worker's counters ------------------------------------------------------------------------


def test_stats_sum_what_the_batches_returned() -> None:
    items = corpus()
    results = [result for start in range(0, len(items), 7) for result in analyze_batch(items[start : start + 7])]
    stats = worker_stats()
    assert [result["name"] for result in results] == [item["name"] for item in items]
    assert stats["pid"] == os.getpid()
    assert stats["documents"] == len(items)
    assert stats["words"] == sum(result["words"] for result in results)
    assert stats["vocabulary"] == len(stats["index"])
    assert sum(stats["index"].values()) == sum(result["content_words"] for result in results)


def test_a_failed_batch_counts_nothing() -> None:
    analyze_batch(documents("One good document."))
    before = worker_stats()
    broken: Any = [*documents("Another document."), {"name": "broken", "text": None, "stopwords": 1}]
    with pytest.raises(TypeError):
        analyze_batch(broken)
    assert worker_stats() == before
    analyze_batch(broken[:1])
    assert worker_stats()["documents"] == 2


def test_stats_are_a_copy_and_reset_clears_them() -> None:
    analyze_batch(documents("Clover and bees."))
    stats = worker_stats()
    stats["index"]["clover"] = 99
    assert worker_stats()["index"]["clover"] == 1
    text_analyzer.reset()
    assert worker_stats() == {"pid": os.getpid(), "documents": 0, "words": 0, "vocabulary": 0, "index": {}}


def test_straight_count_agrees_with_the_index_and_leaves_it_alone() -> None:
    analyze_batch(corpus())
    stats = worker_stats()
    counts = straight_count(corpus())
    merged: Counter[str] = Counter()
    for count in counts:
        merged.update(count)
    assert len(counts) == len(CORPUS)
    assert dict(merged) == stats["index"]
    assert worker_stats() == stats


def test_both_routes_agree_on_text_nobody_would_write() -> None:
    random.seed(20)
    signs = "aZéßİǅﬁ東я\u0627٣9_½²Ⅷ'\u2019\u02bc-.!?\"” \n\t\u0301\u200b\U0001f600"
    texts = ["".join(random.choices(signs, k=random.randint(0, 60))) for _ in range(2000)]
    for text in texts:
        text_analyzer.reset()
        (result,) = analyze_batch(documents(text))
        (count,) = straight_count(documents(text))
        assert worker_stats()["index"] == count, repr(text)
        assert result["content_words"] == sum(count.values())


def test_stopwords_are_fetched_once_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    asked: list[tuple[str, int]] = []

    class FakeSlither:
        @staticmethod
        def view(name: str, *, version: int) -> list[str]:
            asked.append((name, version))
            return ["the"] if version == 1 else ["the", "bees"]

    monkeypatch.setitem(sys.modules, "slither", FakeSlither)
    text_analyzer._stopwords.cache_clear()
    items = documents("The bees.", "The bees again.")
    assert [result["content_words"] for result in analyze_batch(items)] == [1, 2]
    newer: list[Document] = [{"name": "n", "text": "The bees.", "stopwords": 2}]
    assert [result["content_words"] for result in analyze_batch(newer)] == [0]
    assert straight_count(items) == [{"bees": 1}, {"bees": 1, "again": 1}]
    assert asked == [("stopwords", 1), ("stopwords", 2)]
    text_analyzer._stopwords.cache_clear()


# --- the corpus -----------------------------------------------------------------------------------


def test_the_corpus_has_many_documents_of_each_feeling() -> None:
    labels: Counter[str] = Counter(result["sentiment"]["label"] for result in analyze_batch(corpus()))
    assert len(CORPUS) >= 64
    assert min(labels[name] for name in ("positive", "negative", "neutral")) >= 15, labels


@pytest.mark.parametrize("name", CORPUS)
def test_a_document_is_short_prose(name: str) -> None:
    text = CORPUS[name]
    assert 60 <= len(_tokens.words(text)) <= 300
    assert text.endswith("\n")
    assert text == text.strip() + "\n"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_no_sentence_and_no_opening_is_used_twice() -> None:
    spoken = [(name, tuple(sentence)) for name, text in CORPUS.items() for sentence in _tokens.sentences(text)]
    # One and two words ("Coffee: poor", "Dear Sir") may recur in any language.
    repeated = Counter(sentence for _, sentence in spoken if len(sentence) > 2)
    assert [sentence for sentence, count in repeated.items() if count > 1] == []
    openings = Counter(tuple(_tokens.words(text)[:2]) for text in CORPUS.values())
    assert [opening for opening, count in openings.items() if count > 1] == []


def test_the_stopword_list_is_one_lower_case_word_a_line() -> None:
    lines = (EXAMPLE / "stopwords.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) >= 140
    assert all(_tokens.words(line) == [line] for line in lines)
