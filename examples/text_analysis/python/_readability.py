"""Readability after Flesch and Kincaid, with a syllable counter for English.

    reading ease = 206.835 - 1.015 * words / sentences - 84.6 * syllables / words      (higher is easier, often 70)
    grade        = 0.39 * words / sentences + 11.8 * syllables / words - 15.59         (years of school)

English spelling does not say how many syllables a word has. The rules below are right for about nine words in ten of
ordinary prose, which moves the averages by little.
"""

import re
import unicodedata
from functools import lru_cache
from typing import TypedDict


class Readability(TypedDict):
    """Both measures, rounded to two decimals; both are 0 for a text without words."""

    flesch_reading_ease: float
    grade: float


_VOWELS = re.compile(r"[aeiouy]+")

# Endings after an apostrophe that add no vowel of their own: it's, don't, we'll, they've, he'd, we're, I'm.
_CLITICS = frozenset({"s", "t", "ll", "ve", "d", "re", "m"})

_SILENT = re.compile(
    r"[^aeiouyl]e$|[aeiouy]le$"  # stone, whale; but ta-ble
    r"|[^aeiouytdl]ed$|[aeiouy]led$"  # walked, failed; but want-ed, settl-ed keeps its second
    r"|[^aeiouylsxzcgh]es$|[aeiouy]les$|thes$"  # makes, whales, clothes; but hous-es, wish-es
    r"|[^aeiouy]e(?:ly|ful|less|ment)$"  # safely, hopeful, careless, statement
)

_HIATUS = re.compile(
    r"[^tcsgx]i[ao](?!ge$)"  # radio, piano, serious; but nation, special, marriage
    r"|[aeiouy]ing$"  # going, studying
    r"|[^fl]iet"  # quiet, society
    r"|uous$|uity$|ual"  # continuous, annuity, annual
    r"|sm$"  # tourism, rhythm
)

_EXCEPTIONS = {
    "area": 3, "being": 2, "business": 2, "client": 2, "create": 2, "created": 3, "every": 2, "everything": 3,
    "evening": 2, "friend": 1, "idea": 3, "ideas": 3, "people": 2, "poem": 2, "poet": 2, "queue": 1, "queued": 1,
    "real": 1, "recipe": 3, "reliable": 4, "science": 2, "simile": 3, "sometimes": 2, "something": 2, "someone": 2,
    "somewhere": 2, "theatre": 3, "the": 1, "experience": 4, "piece": 1, "pieces": 2, "vegetable": 4,
    "vegetables": 4, "museum": 3, "lion": 2, "violin": 3, "rhythm": 2, "ruin": 2, "aren't": 1, "weren't": 1,
}  # fmt: skip


@lru_cache(maxsize=1 << 16)
def syllables(word: str) -> int:
    """The number of syllables of one lower-case word, at least 1."""
    known = _EXCEPTIONS.get(word)
    if known is not None:
        return known
    head, *rest = word.split("'")
    count = _syllables_of(head)
    if head.endswith("n") and rest == ["t"] and not re.search(r"[aeiouy]n$", head):
        count += 1  # did-n't, but don't
    return max(1, count + sum(_syllables_of(part) for part in rest if part not in _CLITICS))


def readability(sentences: int, words: list[str]) -> Readability:
    """Reading ease and grade of a text that has `words: list[str]` in a number of `sentences: int`."""
    if not words:
        return {"flesch_reading_ease": 0.0, "grade": 0.0}
    length = len(words) / max(1, sentences)
    weight = sum(map(syllables, words)) / len(words)
    return {
        "flesch_reading_ease": round(206.835 - 1.015 * length - 84.6 * weight, 2),
        "grade": round(0.39 * length + 11.8 * weight - 15.59, 2),
    }


def _syllables_of(part: str) -> int:
    plain = "".join(mark for mark in unicodedata.normalize("NFD", part) if mark.isalpha())
    count = len(_VOWELS.findall(plain)) + len(_HIATUS.findall(plain))
    # A written accent on the last letter is there to say that it is not silent: café, rosé.
    if count > 1 and plain[-1:] == part[-1:] and _SILENT.search(plain):
        count -= 1
    return count
