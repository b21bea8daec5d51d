"""`text_analysis` by plain threads: one index and one count, shared by all.

The documents are analysed by the example's own functions. Only what the example keeps once a worker is kept once a
program here.
"""

from collections import Counter
from typing import Any, TypedDict

from _harness import Run
from text_analyzer import analyze


class Work(TypedDict):
    """The documents, the words to leave out, and how often all documents are gone through."""

    documents: list[dict[str, str]]
    stopwords: list[str]
    rounds: int


_global_index: dict[str, int] = {}
_words_indexed = 0
_doc_count = 0


def run(run: Run, work: Work) -> None:
    """Count every document `rounds` times, and compare with a count by one thread."""
    stopwords = frozenset(work["stopwords"])
    documents: list[Any] = work["documents"]

    serial: Counter[str] = Counter()
    for document in documents:
        serial.update(analyze(document, stopwords)[1])
    rounds = work["rounds"]
    occurrences = serial.total() * rounds
    run.expect("index_occurrences", occurrences)
    run.expect("index_words_right", len(serial))
    run.expect("words_indexed", occurrences)
    run.expect("documents_counted", len(documents) * rounds)

    def count(document: Any) -> None:
        global _words_indexed, _doc_count
        _, content = analyze(document, stopwords)
        with run.guard:
            for word in content.elements():
                _global_index[word] = _global_index.get(word, 0) + 1
                _words_indexed += 1
            _doc_count += 1

    run.share(documents * rounds, count)
    right = sum(1 for word, times in serial.items() if _global_index.get(word) == times * rounds)
    indexed = sum(_global_index.values())
    run.found("index_occurrences", indexed, broke=indexed != occurrences)
    run.found("index_words_right", right, broke=right != len(serial))
    run.found("words_indexed", _words_indexed, broke=_words_indexed != occurrences)
    run.found("documents_counted", _doc_count, broke=_doc_count != len(documents) * rounds)
