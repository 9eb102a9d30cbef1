#!/usr/bin/env python3
"""Golden vectors of tokenizers, computed by the libraries that own the formats.

    pip install tokenizers==0.15.2 sentencepiece==0.2.3
    tests/golden/make_tokenizers.py        writes tokenizers/ beside this file

gpt2.json and llama3.json are byte-level BPE trained on the sentences below with the two patterns,
pieces.model is a sentencepiece model with byte fallback; NAME.txt has a line per case: the text in
hex, then the ids.
"""
import pathlib
import random

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent / "tokenizers"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
TEXT = ["The harbour's lights weren't lit; we'll row 12 miles and they've 3456 more.",
        "Die Straße führt über Öl und Wasser, nicht wahr? Ja -- 100 %!",
        "Le garçon n'a pas mangé les œufs; où est l'été?\n\nIl pleut.",
        "El niño pidió 7 años más: ¡qué alegría!\tFin.", "Ελληνικά και Русский текст, 日本語もある。"]
CASES = TEXT + ["", " ", "  ", "\n", " \n \n a", "a  b   c", "tabs\t\tand\r\nlines\r\n\r\n", "  leading",
                "trailing  ", "it's IT'S 'Tis they'RE we'Ve I'm 'd 'll", "12345678 1 22 333 4444",
                "½ ² Ⅷ ٣ 三", "snow☃man🙂🙂!?... (x)", "a\u00a0b\u2003c\u3000d", "e\u0301 combining",
                "'\u017f", " 'x", "x" * 200, "ab" * 300, "\u0000\u0001\u007f"]


def random_cases():
    alphabet = " \n\r\t'sStTdrevlmaéß1²3.,!日🙂\u00a0\u0301"
    draw = random.Random(20261122)
    for _ in range(150):
        yield "".join(draw.choice(alphabet) for _ in range(draw.randint(1, 14)))


def write_cases(name, encode):
    with open(HERE / (name + ".txt"), "w", encoding="ascii") as out:
        for case in CASES + list(random_cases()):
            ids = " ".join(str(i) for i in encode(case))
            out.write(f"{case.encode().hex() or '-'} {ids}".rstrip() + "\n")


def bpe(name, pre):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    tokenizer.save(str(HERE / (name + ".json")), pretty=False)
    plain = Tokenizer.from_file(str(HERE / (name + ".json")))
    write_cases(name, lambda text: plain.encode(text, add_special_tokens=False).ids)


def main():
    HERE.mkdir(exist_ok=True)
    bpe("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True))
    bpe("llama3", pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 5), model_prefix=str(HERE / "pieces"), vocab_size=420,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, hard_vocab_limit=False, minloglevel=2)
    (HERE / "pieces.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "pieces.model"))
    write_cases("pieces", pieces.encode)


if __name__ == "__main__":
    main()
