"""Words and sentences of a text.

A *word* is a maximal run of Unicode letters, with apostrophes allowed inside it ("don't", "o'clock"), lower-cased.
The typographic apostrophe is written as the plain one, so that both spellings of "don't" are one word. Digits and
signs are not words.
"""

import re

_ABBREVIATIONS = ("Mr", "Mrs", "Ms", "Dr", "St", "Prof", "vs")

_SENTENCE_END = re.compile(
    r"[.!?\u2026]+"
    + "".join(rf"(?<!\b{short}\.)" for short in _ABBREVIATIONS)
    + r"""["'\u201d\u2019)\]]*(?=\s|$)"""  # quotes and brackets close after the mark, then comes space
    r"|\n[ \t]*\n"  # a blank line ends a sentence too: headings carry no full stop
)


class _LetterTable(dict[int, str]):
    """A `str.translate` table that decides about a character when it meets it, and remembers."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character if character.isalpha() else " "
        self[code] = kept
        return kept


_LETTERS = _LetterTable({ord("'"): "'", ord("\u2019"): "'"})


def words(text: str) -> list[str]:
    """The words of `text` in order, lower-cased: `list[str]`, empty for a text without letters."""
    found: list[str] = []
    for run in text.translate(_LETTERS).split():
        # Lower-cased word by word and last: a few capitals turn into a letter and a combining mark, which must not
        # cut the word.
        if "'" not in run:
            found.append(run.lower())
        else:
            # A quoted word carries its quotes as apostrophes, and two in a row are no part of any word.
            found.extend(part.strip("'").lower() for part in run.split("''") if part.strip("'"))
    return found


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence of `text`: `list[list[str]]`, without sentences that hold no word."""
    return [found for part in _SENTENCE_END.split(text) if (found := words(part))]


def excerpt(text: str, width: int = 80) -> str:
    """The beginning of `text` on one line: at most `width` characters, cut between words, with an ellipsis."""
    text = text.strip()
    line = " ".join(text[: 4 * width].split())
    if len(line) <= width and len(text) <= 4 * width:
        return line
    cut = line[: width - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:-") + "…"
