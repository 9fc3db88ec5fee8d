#!/usr/bin/env python3
"""Holds the plans to the schema with a validator that is not ours, and the schema to its job.

Needs the PyPI package `jsonschema` (tests/schema/requirements.txt). Every plan, part and
included file under plans/ must be accepted; each document of refused/ must be refused at the
place that its first line names.
"""

import json
import pathlib
import sys
import tomllib

import jsonschema

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


def load(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))


def leaves(error):
    """The errors that say something, below `oneOf` and `anyOf`."""
    below = [leaf for inner in error.context or [] for leaf in leaves(inner)]
    return below or [error]


def main():
    schema = json.loads((ROOT / "schema/plan.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    wrong = 0
    plans = sorted((ROOT / "plans").rglob("*.toml"))
    for path in plans:
        for error in validator.iter_errors(load(path)):
            for leaf in leaves(error):
                print(f"{path.relative_to(ROOT)}: {leaf.json_path}: {leaf.message}", file=sys.stderr)
                wrong += 1
    refused = sorted((HERE / "refused").glob("*.toml"))
    for path in refused:
        wanted = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        places = [leaf.json_path for error in validator.iter_errors(load(path)) for leaf in leaves(error)]
        if wanted not in places:
            print(f"{path.relative_to(ROOT)}: expected an error at {wanted}, found {places or 'none'}", file=sys.stderr)
            wrong += 1
    if not plans or not refused:
        print("there is nothing to validate", file=sys.stderr)
        wrong += 1
    print(f"{len(plans)} plans fit the schema, {len(refused)} are refused" if not wrong else f"{wrong} mistakes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
