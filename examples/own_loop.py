"""Puts a model together from its parts, and trains it in a loop of one's own."""

import torch

from seq2seq.data.layout import flatten, make_batch
from seq2seq.models.seq2seq import Bridge, Seq2Seq
from seq2seq.nn.decoder import DecoderConfig, RecurrentDecoder
from seq2seq.nn.heads import TokenHead
from seq2seq.nn.inputs import TokenInput
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.search.config import SearchConfig
from seq2seq.search.strategies import search
from seq2seq.training.objective import CrossEntropy

torch.manual_seed(1)
VOCABULARY, WIDTH = 14, 48  # ids 0 to 3 are padding, unknown, start and end
layers = RecurrentConfig(cell="gru", hidden_size=WIDTH, dropout=0.0)
encoder = Recurrent(layers, WIDTH, bidirectional=True)
settings = DecoderConfig(cell="gru", hidden_size=WIDTH, dropout=0.0)
decoder = RecurrentDecoder(settings, WIDTH, memory_size=WIDTH, output_size=WIDTH)
target = TokenInput(VOCABULARY, WIDTH)
head = TokenHead(VOCABULARY, WIDTH, tied=target)
bridge = Bridge(encoder, decoder.layers)
model = Seq2Seq(TokenInput(VOCABULARY, WIDTH), encoder, target, decoder, bridge, head)

optimizer, objective = torch.optim.Adam(model.parameters(), 3e-3), CrossEntropy(smoothing=0.05)
for _ in range(400):  # sequences, to be turned around
    rows = [torch.randint(4, VOCABULARY, (6,)).tolist() for _ in range(32)]
    batch = make_batch(*flatten(rows), *flatten([row[::-1] for row in rows]))
    loss = objective(model, batch, None).nats / batch.predictions
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()

folded = model.eval().fold("float32")  # the same model, made faster for search
found = search(folded, batch.source, SearchConfig(beam_size=3))
right = sum(list(best[0].ids) == row[::-1] for best, row in zip(found, rows, strict=True))
print(f"loss {loss.item():.2f}, {right} of {len(rows)} turned around")
