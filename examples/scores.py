"""Scores texts against references; each score tells how it was computed."""

from seq2seq.evaluation.metrics import bleu, chrf, exact_match, per
from seq2seq.evaluation.mistakes import find_mistakes

SOURCES = ["haus", "maus", "baum"]
FOUND = ["h au s", "m au z", "b o m"]
REFERENCES = ["h au s", "m au s", "b au m"]

print("\n".join(map(str, (exact_match(FOUND, REFERENCES), per(FOUND, REFERENCES)))))
print(find_mistakes(SOURCES, FOUND, REFERENCES, "symbol").table(3))

print(bleu("The cat sat on the mat .", "The cat sat on the mat ."))
print(chrf("The cat sat on a mat.", "The cat sat on the mat."))
