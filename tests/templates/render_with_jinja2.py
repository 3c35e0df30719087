#!/usr/bin/env python3
"""Renders template cases with jinja2, set up as Hugging Face's apply_chat_template sets it up.

Usage: render_with_jinja2.py CASES RESULTS. CASES is a JSON list of {"template", "variables", "now"}, where
now is [year, month, day, hour, minute, second]; RESULTS becomes a list, in the same order, of {"text"} or, where
jinja2 raises, {"error"}. Exits 3 where jinja2 is not installed.
"""
import datetime
import functools
import json
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.sandbox
except ImportError:
    sys.exit(3)


class Generation(jinja2.ext.Extension):
    """{% generation %}: a call block around what an assistant wrote, as the trainers' extension makes it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


@functools.lru_cache(maxsize=None)
def environment_at(now):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = datetime.datetime(*now).strftime
    return environment


@functools.lru_cache(maxsize=None)
def compiled(source, now):
    return environment_at(now).from_string(source)


def render(case):
    try:
        return {"text": compiled(case["template"], tuple(case["now"])).render(**case["variables"])}
    except Exception as error:  # whatever it is, there is no prompt
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump([render(case) for case in cases], file)


main()
