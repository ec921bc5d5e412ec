"""Scores the nearest-neighbour copy: the target of the most similar training source.

Usage: ``python recipes/quickstart/baseline.py [FOLDER]``. What a model gets above this figure, it
has not got by looking sentences up.
"""

import gzip
import math
import sys
from collections import Counter, defaultdict
from pathlib import Path

from tqdm import tqdm

Pair = tuple[str, str]
FOLDER = Path(__file__).parents[2] / "data" / "localisation"
SIZE = 3
# Like stop words, n-grams of more sources than this tell little and cost most of the time.
COMMON = 0.03


def read(path: Path) -> list[Pair]:
    """Reads pairs of source and target."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        rows = (line.rstrip("\n").split("\t") for line in lines)
        return [(source, target) for source, target in rows]


def ngrams(text: str) -> Counter[str]:
    """Counts the character n-grams of a text, its ends marked."""
    text = f"\x02{text}\x03"
    return Counter(text[i : i + SIZE] for i in range(len(text) - SIZE + 1))


class Index:
    """Training sources as unit TF-IDF vectors, by n-gram."""

    def __init__(self, sources: list[str]) -> None:
        counts = [ngrams(source) for source in sources]
        documents = Counter(gram for count in counts for gram in count)
        self.idf = {
            gram: math.log(len(sources) / n)
            for gram, n in documents.items()
            if n <= COMMON * len(sources)
        }
        self.postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, count in enumerate(counts):
            for gram, weight in self.weigh(count).items():
                self.postings[gram].append((row, weight))

    def weigh(self, counts: Counter[str]) -> dict[str, float]:
        """Returns the unit TF-IDF vector of the n-grams that are known and not common."""
        weights = {gram: n * self.idf[gram] for gram, n in counts.items() if gram in self.idf}
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {gram: weight / norm for gram, weight in weights.items()}

    def nearest(self, source: str) -> int:
        """Returns the row with the highest cosine similarity, the first of equals."""
        scores: dict[int, float] = defaultdict(float)
        for gram, weight in self.weigh(ngrams(source)).items():
            for row, other in self.postings[gram]:
                scores[row] += weight * other
        return max(scores, key=lambda row: (scores[row], -row), default=0)


def main(folder: Path) -> None:
    """Prints how many of the test targets the copy gets right."""
    train, test = read(folder / "train.tsv.gz"), read(folder / "test.tsv.gz")
    index = Index([source for source, _ in train])
    hits = sum(train[index.nearest(source)][1] == target for source, target in tqdm(test))
    print(f"nearest-neighbour copy: exact match {100 * hits / len(test):.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
