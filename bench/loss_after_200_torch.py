#!/usr/bin/env python3
"""The run of loss_after_200.sh in PyTorch: a line "STEP LOSS" (nats per token) for each step.

    python3 bench/loss_after_200_torch.py CORPUS SEED STEPS BATCH RATE (fp32|bf16)

Model, initial weights, order of the data, schedule and clipping are those of gap_to_pooled_torch.py,
over the documents in CORPUS, with RATE as the peak. bf16 is torch.autocast: weights, moments and sums stay in fp32.
"""
import sys

import torch

import gap_to_pooled_torch as recipe


def main():
    corpus, seed, steps, batch, rate, precision = sys.argv[1:]
    torch.set_num_threads(1)
    recipe.ROUNDS, recipe.INNER_STEPS, recipe.BATCH = 1, int(steps), int(batch)
    recipe.PEAK, recipe.FLOOR = float(rate), 0.1 * float(rate)
    windows = recipe.Windows(recipe.read_corpus(corpus)["train"], int(seed))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    trainer = recipe.Trainer(recipe.Llama(int(seed)), [windows], dtype)
    for step, loss in enumerate(trainer.run(int(steps))):
        print(step, repr(loss))


if __name__ == "__main__":
    main()
