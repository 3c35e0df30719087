"""Small vocabularies for fixtures: byte-level BPE, and WordPiece for bert."""
from gguf_format import BOOL, I32, STRING, U32

NORMAL, CONTROL = 1, 3  # tokenizer.ggml.token_type
LETTERS = "etaoinshrdlucmfwygpbvkxqjz"  # by how often English has them
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
          " + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def _byte_spellings():
    """The letter that stands for each byte in a byte-level vocabulary: printable Latin-1 for
    itself, the rest in order from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(0x100 + others.index(byte))
            for byte in range(256)]


def write_byte_level(writer, size, rule, chat):
    """`size` tokens: 256 bytes, merges of two letters, three special tokens at the end. At least
    260, at most 960."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    space = _byte_spellings()[0x20]
    pairs = [(a, b) for a in space + LETTERS for b in LETTERS]
    merges = pairs[:size - 256 - len(specials)]
    tokens = _byte_spellings() + [a + b for a, b in merges] + specials
    if len(tokens) != size:
        raise ValueError(f"a byte-level vocabulary of {size} tokens; 260 to 960 can be made")
    end, turn_end = size - 3, size - 1
    writer.key("tokenizer.ggml.model", STRING, "gpt2")
    writer.key("tokenizer.ggml.pre", STRING, rule)
    writer.array("tokenizer.ggml.tokens", STRING, tokens)
    writer.array("tokenizer.ggml.token_type", I32, [NORMAL] * (size - 3) + [CONTROL] * 3)
    writer.array("tokenizer.ggml.merges", STRING, [f"{a} {b}" for a, b in merges])
    writer.key("tokenizer.ggml.bos_token_id", U32, end)
    writer.key("tokenizer.ggml.eos_token_id", U32, turn_end if chat else end)
    writer.key("tokenizer.ggml.padding_token_id", U32, end)
    writer.key("tokenizer.ggml.add_bos_token", BOOL, False)
    if chat:
        writer.key("tokenizer.chat_template", STRING, CHATML)


def write_word_piece(writer, size):
    """`size` tokens: five special ones, the letters as beginnings (▁a) and as continuations (a),
    beginnings of two letters. At least 57, at most 733."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = specials + ["\u2581" + a for a in LETTERS] + list(LETTERS)
    tokens += ["\u2581" + a + b for a in LETTERS for b in LETTERS][:size - len(tokens)]
    if len(tokens) != size:
        raise ValueError(f"a WordPiece vocabulary of {size} tokens; 57 to 733 can be made")
    writer.key("tokenizer.ggml.model", STRING, "bert")
    writer.key("tokenizer.ggml.pre", STRING, "default")
    writer.key("tokenizer.ggml.token_type_count", U32, 2)
    writer.array("tokenizer.ggml.tokens", STRING, tokens)
    writer.array("tokenizer.ggml.token_type", I32, [CONTROL] * 5 + [NORMAL] * (size - 5))
    for name, token in (("padding", 0), ("unknown", 1), ("cls", 2), ("seperator", 3), ("mask", 4)):
        writer.key(f"tokenizer.ggml.{name}_token_id", U32, token)
