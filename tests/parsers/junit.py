#!/usr/bin/env python3
"""Reads JUnit files with two parsers that Lariat did not write.

    pip install junitparser lxml
    LARIAT_SAMPLES=/tmp/samples cargo test --lib report::sample
    tests/parsers/junit.py /tmp/samples/*.xml
    tests/parsers/junit.py --xsd junit-10.xsd /tmp/samples/*.strict.xml

Prints one line per file with its counts. Exits with 1 if a file does not parse,
if totals differ from the cases, if the parsers disagree, or if a file is not
valid for the schema that was handed in.
"""

import argparse
import re
import sys

import junitparser
from lxml import etree


def by_lxml(path):
    """Counts, taken from the cases; troubles with form."""
    troubles = []
    root = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    suites = root.findall("testsuite")
    if root.tag != "testsuites" or len(suites) != 1:
        troubles.append(f"root is {root.tag} with {len(suites)} suites")
    cases = root.findall("testsuite/testcase")
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    for element in [root, *suites]:
        for name, count in counts.items():
            said = element.get(name)
            if said is not None and int(said) != count:
                troubles.append(f"{element.tag} says {name}={said}, there are {count}")
    names = [(case.get("classname"), case.get("name")) for case in cases]
    if len(set(names)) != len(names):
        troubles.append("names are not unique")
    for case in cases:
        name = case.get("name")
        if not re.fullmatch(r"\d+\.\d{3}", case.get("time", "")):
            troubles.append(f"{name}: time {case.get('time')}")
        results = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if len(results) > 1:
            troubles.append(f"{name}: {len(results)} results")
        for result in results:
            message = result.get("message")
            if not message or not result.get("type") or not (result.text or "").startswith(message):
                troubles.append(f"{name}: {result.tag} without message, type or text")
    return counts, troubles


def by_junitparser(path):
    """The same counts by the other parser."""
    xml = junitparser.JUnitXml.fromfile(path)
    cases = [case for suite in xml for case in suite]

    def having(kind):
        return sum(any(isinstance(result, kind) for result in case.result) for case in cases)

    return {
        "tests": len(cases),
        "failures": having(junitparser.Failure),
        "errors": having(junitparser.Error),
        "skipped": having(junitparser.Skipped),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--xsd", help="a schema that every file must be valid for")
    arguments.add_argument("files", nargs="+")
    asked = arguments.parse_args()
    schema = etree.XMLSchema(etree.parse(asked.xsd)) if asked.xsd else None
    is_good = True
    for path in asked.files:
        try:
            counts, troubles = by_lxml(path)
            other = by_junitparser(path)
        except Exception as error:  # a parser's own error is the finding
            print(f"{path}: {type(error).__name__}: {error}")
            is_good = False
            continue
        if other != counts:
            troubles.append(f"junitparser counts {other}")
        if schema is not None and not schema.validate(etree.parse(path)):
            troubles.append(f"schema: {schema.error_log.last_error}")
        print(f"{path}:", *(f"{name}={count}" for name, count in counts.items()))
        for trouble in troubles:
            print(f"  {trouble}")
        is_good = is_good and not troubles
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
