#!/usr/bin/env python3
"""How far the engine's logits lie from a float computation of the same weights, beside llama.cpp's.

  compare.py --peer PEER_LOGITS --engine FALLOW_ACCURACY_LOGITS --demo FOLDER [--families A,B]
             [--types A,B] [--model FILE.gguf]… [--no-vulkan]

The yardstick is llama.cpp's float path: the weights written out as F32, keys and values in F32. Against
it stand the engine, and llama.cpp's own path on the typed file with its cache in Q8_0. Models with
random weights of every family and type, and the demo's. The figures are the CPU backend's; where there is
a Vulkan device it must give the same bits for the first prompts. The last line is one JSON object; the
exit status is 1 where a limit is broken. --model measures a file of yours too.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "reference"
sys.path.insert(0, str(REFERENCE))

import numpy as np  # noqa: E402

import gguf_format as gguf  # noqa: E402
from float_copy import float_copy  # noqa: E402
from make_fixture import write_fixture  # noqa: E402

MAX_NMSE_8BIT = 1e-3  # of Q8_0 weights
MAX_OVER_PEER = 1.25  # our error over llama.cpp's
MEASURED = ["llama", "llama-yarn", "llama3", "qwen2", "qwen3", "qwen3-embedding", "gemma", "gemma2",
            "gemma3", "phi3", "phi3-long", "bert"]
# llama.cpp keeps no cache for these, so it has no path with a Q8_0 one: no ratio.
WITHOUT_CACHE = ["bert"]
CONTEXT = 512  # tokens
STRIDE = 8  # logits are compared at every eighth position
PROMPTS = (200, 320, 160, 256, 312)  # tokens; the demo's have as many as they have
TEXTS = range(40, 120)  # tokens of what is embedded
VULKAN_PROMPTS = 2  # of each model, so that a slow device does not take all the time
CANNOT = 3  # exit status: no such backend here, or llama.cpp does not take the model so


class Missing(Exception):
    """What a program cannot do here, in its words."""


def rows_of(command, prompts=""):
    run = subprocess.run([str(part) for part in command], input=prompts, capture_output=True,
                         text=True, check=False)
    if run.returncode == CANNOT:
        raise Missing(run.stderr.strip().splitlines()[-1])
    if run.returncode != 0:
        sys.exit(f"compare.py: {' '.join(map(str, command))} ended with {run.returncode}:\n"
                 f"{run.stderr}")
    return run.stdout.splitlines()


def numbers(lines):
    return np.array([[float(word) for word in line.split()] for line in lines])


def nmse(got, expected):
    return float(((got - expected)**2).sum() / (expected**2).sum())


def random_prompts(vocabulary, embeds):
    random = np.random.default_rng(7)
    lengths = TEXTS if embeds else PROMPTS
    return "".join(" ".join(map(str, random.integers(0, vocabulary, length))) + "\n"
                   for length in lengths)


class Comparison:
    def __init__(self, arguments, folder):
        self._peer, self._engine = arguments.peer, arguments.engine
        self._folder = pathlib.Path(folder)
        self._vulkan = not arguments.no_vulkan
        self.over_peer, self.of_8bit = {}, {}
        print(f"{'model':<16} {'type':<7} {'ours':>9} {'llama.cpp':>9} {'ratio':>6}  Vulkan")

    def measure(self, name, type_name, model, prompts, stride, has_ratio=True):
        plain = self._folder / "float.gguf"
        float_copy(model, plain)
        expected = numbers(rows_of([self._peer, plain, "f32", CONTEXT, "logits", stride], prompts))
        lines = rows_of([self._engine, model, "cpu", "logits", stride], prompts)
        ours = nmse(numbers(lines), expected)
        theirs = self._error_of_peer(model, prompts, stride, expected)
        if type_name == "Q8_0":
            self.of_8bit[f"{name} {type_name}"] = ours
        if has_ratio and theirs is not None:
            self.over_peer[f"{name} {type_name}"] = ours / theirs
        shown = "        -" if theirs is None else f"{theirs:9.2e}"
        ratio = f"{ours / theirs:6.3f}" if has_ratio and theirs is not None else "     -"
        print(f"{name:<16} {type_name:<7} {ours:9.2e} {shown} {ratio}  "
              f"{self._on_vulkan(model, prompts, stride, lines)}", flush=True)

    def _error_of_peer(self, model, prompts, stride, expected):
        """None where llama.cpp has no Q8_0 cache for the model: heads that are no whole blocks."""
        try:
            lines = rows_of([self._peer, model, "q8_0", CONTEXT, "logits", stride], prompts)
        except Missing as reason:
            print(f"{reason}", file=sys.stderr)
            return None
        return nmse(numbers(lines), expected)

    def _on_vulkan(self, model, prompts, stride, expected):
        if not self._vulkan:
            return "-"
        try:
            some = "".join(prompts.splitlines(keepends=True)[:VULKAN_PROMPTS])
            lines = rows_of([self._engine, model, "vulkan", "logits", stride], some)
        except Missing as reason:
            self._vulkan = False
            return f"none: {reason}"
        if lines != expected[:len(lines)]:
            sys.exit(f"compare.py: {model}: Vulkan gives other bits than the CPU")
        return "same bits"

    def measure_family(self, family, type_name):
        model = self._folder / "model.gguf"
        write_fixture(family, type_name, model, bench=True)
        self.measure_model(family, type_name, model)

    def measure_model(self, name, type_name, model):
        keys = gguf.Reader(model).keys
        architecture = keys["general.architecture"]
        prompts = random_prompts(len(keys["tokenizer.ggml.tokens"]),
                                 keys.get(f"{architecture}.pooling_type", 0) != 0)
        self.measure(name, type_name, model, prompts, STRIDE, architecture not in WITHOUT_CACHE)

    def measure_file(self, model):
        """Named by the type that most of its matrices have."""
        types = Counter(stored.type for stored in gguf.Reader(model).tensors.values()
                        if stored.rows > 1)
        self.measure_model(model.stem[:16], types.most_common(1)[0][0], model)

    def measure_demo(self, model, type_name):
        """Logits behind the demo's prompts; returns how many answers are the same, and of how many."""
        lines = rows_of([self._engine, model, "cpu", "answers"])
        prompts, answers = lines[0::2], lines[1::2]
        joined = "".join(prompt + "\n" for prompt in prompts)
        self.measure("demo", type_name, model, joined, 0)
        end = gguf.Reader(model).keys["tokenizer.ggml.eos_token_id"]
        longest = max(len(answer.split()) for answer in answers)
        greedy = rows_of([self._peer, model, "q8_0", CONTEXT, "greedy", longest, end], joined)
        return sum(a.split() == b.split() for a, b in zip(answers, greedy)), len(prompts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("peer", "engine", "demo"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--families", default=",".join(MEASURED))
    parser.add_argument("--types", default=",".join([*gguf.TENSOR_TYPES, "Q4_K_M"]))
    parser.add_argument("--model", action="append", default=[], type=pathlib.Path)
    parser.add_argument("--no-vulkan", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments, folder)
        same = {}
        for type_name in ("Q8_0", "F16"):
            model = arguments.demo / f"field-normalizer-{type_name.lower()}.gguf"
            same[type_name], prompt_count = comparison.measure_demo(model, type_name)
        for model in arguments.model:
            comparison.measure_file(model)
        for family in filter(None, arguments.families.split(",")):
            for type_name in arguments.types.split(","):
                comparison.measure_family(family, type_name)
    report(comparison, same, prompt_count)


def report(comparison, same, prompt_count):
    worst = max(comparison.over_peer, key=comparison.over_peer.get)
    worst_8bit = max(comparison.of_8bit, key=comparison.of_8bit.get)
    figures = {"benchmark": "accuracy",
               "nmse_max_8bit": comparison.of_8bit[worst_8bit], "nmse_max_8bit_of": worst_8bit,
               "nmse_over_peer_max": comparison.over_peer[worst], "nmse_over_peer_max_of": worst,
               "demo_prompts": prompt_count, "demo_same_answers": same}
    broken = []
    if figures["nmse_max_8bit"] > MAX_NMSE_8BIT:
        broken.append(f"nmse_max_8bit is above {MAX_NMSE_8BIT}")
    if figures["nmse_over_peer_max"] > MAX_OVER_PEER:
        broken.append(f"nmse_over_peer_max is above {MAX_OVER_PEER}")
    if any(count != prompt_count for count in same.values()):
        broken.append("not all of the demo's answers are llama.cpp's")
    for reason in broken:
        print(f"compare.py: {reason}", file=sys.stderr)
    print(json.dumps(figures), flush=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
