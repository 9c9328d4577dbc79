"""Compares what two streams of YAML mean, as PyYAML reads them (YAML 1.1).

Reads JSON lines {name, before, after, patch}: `after` must mean what `before` does with the patch laid
on each document. Writes one line for each that does not, and at last how many were compared.
"""

import json
import sys

import yaml


# The C library is what Go's readers were written after, and it is fast.
class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Knows every tag, so that foreign ones are compared, too."""


def foreign(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return [suffix, loader.construct_scalar(node)]
    if isinstance(node, yaml.SequenceNode):
        return [suffix, loader.construct_sequence(node, deep=True)]
    return [suffix, loader.construct_mapping(node, deep=True)]


Loader.add_multi_constructor("", foreign)


def makes(patch):
    """Whether a patch makes something of nothing."""
    return not isinstance(patch, dict) or patch == {} or any(want is not None and makes(want) for want in patch.values())


def laid(value, patch):
    if not isinstance(patch, dict):
        return patch
    if isinstance(value, list):
        return [laid(item, patch[str(at)]) if str(at) in patch else item for at, item in enumerate(value)]
    if value is None and not makes(patch):
        return None
    value = dict(value or {})
    for key, want in patch.items():
        if want is None:
            value.pop(key, None)
        elif key in value or makes(want):
            value[key] = laid(value.get(key), want)
    return value


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = [key for key in one if not any(same(key, found) for found in other)]
        return len(one) == len(other) and not keys and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or one != one and other != other


def read(text):
    return [document for document in yaml.load_all(text, Loader) if document is not None]


compared = 0
for line in sys.stdin:
    case = json.loads(line)
    try:
        before = read(case["before"])
    except (yaml.YAMLError, ValueError, TypeError):
        # What PyYAML cannot read has no meaning to keep.
        continue
    try:
        after = read(case["after"])
        wanted = [laid(document, case["patch"]) for document in before]
        if not same(after, wanted):
            print(f"{case['name']}: means {after}, not {wanted}\n{case['after']}")
    except (yaml.YAMLError, ValueError, TypeError) as error:
        print(f"{case['name']}: not readable any more: {error}\n{case['after']}")
    except RecursionError:
        # It holds itself, and there is no end to comparing it.
        continue
    compared += 1
print(compared)
