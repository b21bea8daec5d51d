"""Text analysis for the workers of the `text_analysis` example.

`analyze_batch` is the Python stage of the pipe. Beside what it returns for each document it adds to counters of its
module: which words this worker has met, how many documents, how many words. They are plain globals, changed by
read-modify-write and without a lock. Threads that shared them would lose updates; here every worker is a process and
has its own, and Rust merges them after the run (`worker_stats`).
"""

import os
import re
from collections import Counter
from functools import lru_cache
from typing import Any, TypedDict

from _readability import Readability, readability
from _sentiment import Sentiment, sentiment
from _tokens import excerpt, sentences

TOP_WORDS = 5


class Document(TypedDict):
    """One item of a batch: `stopwords` is the version of the list to use, not the list."""

    name: str
    text: str
    stopwords: int


class Analysis(TypedDict):
    """What one document came to. `top_words` holds up to five `[word, count]`, commonest first, ties by alphabet."""

    name: str
    pid: int
    words: int
    sentences: int
    unique_words: int
    content_words: int
    top_words: list[list[str | int]]
    readability: Readability
    sentiment: Sentiment
    excerpt: str


class WorkerStats(TypedDict):
    """What one worker has accumulated. `index` is the count of every content word, `vocabulary` its length."""

    pid: int
    documents: int
    words: int
    vocabulary: int
    index: dict[str, int]


_index: Counter[str] = Counter()
_documents: int = 0
_words: int = 0


def analyze_batch(items: list[Document]) -> list[Analysis]:
    """Analyse a batch: `list[Document]` to `list[Analysis]`, one result an item, in order.

    The worker's counters change only once the whole batch is done, so that a batch which fails counts nothing, and
    its re-run once.
    """
    results: list[Analysis] = []
    index: Counter[str] = Counter()
    for item in items:
        result, content = analyze(item, _stopwords(item["stopwords"]))
        results.append(result)
        index.update(content)
    _accumulate(len(results), sum(result["words"] for result in results), index)
    return results


def analyze(item: Document, stopwords: frozenset[str]) -> tuple[Analysis, Counter[str]]:
    """One document's analysis and its content words. It reads and writes no state."""
    spoken = sentences(item["text"])
    words = [word for sentence in spoken for word in sentence]
    content = Counter(word for word in words if word not in stopwords)
    result: Analysis = {
        "name": item["name"],
        "pid": os.getpid(),
        "words": len(words),
        "sentences": len(spoken),
        "unique_words": len(set(words)),
        "content_words": content.total(),
        "top_words": [[word, count] for word, count in _top(content)],
        "readability": readability(len(spoken), words),
        "sentiment": sentiment(spoken),
        "excerpt": excerpt(item["text"]),
    }
    return result, content


def worker_stats() -> WorkerStats:
    """This worker's counters since it started or since `reset`."""
    return {
        "pid": os.getpid(),
        "documents": _documents,
        "words": _words,
        "vocabulary": len(_index),
        "index": dict(_index),
    }


def reset() -> None:
    """Set this worker's counters to zero."""
    global _documents, _words
    _index.clear()
    _documents = 0
    _words = 0


def straight_count(items: list[Document]) -> list[dict[str, int]]:
    """The content words of each document, `{word: count}`, by a second route that shares nothing with the first.

    It is what "merged equals serial" compares with, so it uses neither the tokens nor the counters of `analyze_batch`.
    """
    counts: list[dict[str, int]] = []
    for item in items:
        # `\w` without digits still holds signs such as "½" and "²", which are no letters.
        text = re.sub(r"[^\W\d_a-zA-Z]", lambda sign: sign[0] if sign[0].isalpha() else " ", item["text"])
        stopwords = _stopwords(item["stopwords"])
        count: Counter[str] = Counter()
        for found in re.findall(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*", text):
            word = found.replace("\u2019", "'").lower()
            if word not in stopwords:
                count[word] += 1
        counts.append(dict(count))
    return counts


def _top(content: Counter[str]) -> list[tuple[str, int]]:
    # `most_common` breaks ties by first occurrence, which would make the answer depend on the order of the text.
    return sorted(content.items(), key=lambda entry: (-entry[1], entry[0]))[:TOP_WORDS]


def _accumulate(documents: int, words: int, index: Counter[str]) -> None:
    """Add a finished batch to the worker's counters: read, modify, write, as a single-threaded program may."""
    global _documents, _words
    _documents += documents
    _words += words
    _index.update(index)


# A version's words never change, so each is asked for once a worker. Old versions go: only a reload during a run
# makes two current.
@lru_cache(maxsize=4)
def _stopwords(version: int) -> frozenset[str]:
    """The stopwords of one `version` of the store, asked of Rust: the view `stopwords` answers a list of words."""
    import slither  # type: ignore[import-not-found, unused-ignore]  # on the path of a worker only

    words: Any = slither.view("stopwords", version=version)
    return frozenset(words)
