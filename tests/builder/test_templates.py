"""Templates print: what is worked out is worked out in views, where it is typed and tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import nodes

from builder.pages.environment import environment
from builder.pages.filters import FILTERS

FOLDER = Path(__file__).parents[2] / "templates"
NAMES = sorted(file.name for file in FOLDER.iterdir())
COMPUTING = (
    nodes.BinExpr,  # + - * / // % **
    nodes.Neg,
    nodes.Pos,
    nodes.Concat,
    nodes.Compare,
    nodes.Dict,
    nodes.List,
    nodes.Slice,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.FilterBlock,
)
JOINING = (nodes.And, nodes.Or)  # BinExpr too; asking whether two things are there is no sum
ASKED = {"none"}
CALLED_GLOBALS = {"namespace", "range", "dict", "zip", "cycler", "joiner", "lipsum"}


def parsed(source: str) -> nodes.Template:
    return environment().parse(source)


def computed(template: nodes.Template) -> list[str]:
    found = [
        f"line {node.lineno}: {type(node).__name__}"
        for node in template.find_all(COMPUTING)
        if not isinstance(node, JOINING)
    ]
    tuples = [node for node in template.find_all(nodes.Tuple) if node.ctx == "load"]
    foreign = [node for node in template.find_all(nodes.Filter) if node.name not in FILTERS]
    tests = [node for node in template.find_all(nodes.Test) if node.name not in ASKED]
    calls = [
        node
        for node in template.find_all(nodes.Call)
        if isinstance(node.node, nodes.Name) and node.node.name in CALLED_GLOBALS
    ]
    return [
        *found,
        *(f"line {node.lineno}: a tuple" for node in tuples),
        *(f"line {node.lineno}: | {node.name}" for node in foreign),
        *(f"line {node.lineno}: is {node.name}" for node in tests),
        *(f"line {node.lineno}: a call of a global" for node in calls),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_prints_and_computes_nothing(name: str) -> None:
    assert computed(parsed((FOLDER / name).read_text())) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_a_template_has_at_most_a_hundred_characters(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ a + 1 }}",
        "{{ a - b }}",
        "{{ 2 * a }}",
        "{{ a / b }}",
        "{{ a // b }}",
        "{{ a % 2 }}",
        "{{ a ** 2 }}",
        "{{ -a }}",
        "{{ a ~ b }}",
        "{{ a[1:] }}",
        "{% if a > b %}{% endif %}",
        "{% set a = b %}",
        "{% set a %}b{% endset %}",
        "{% set a = namespace(b=1) %}",
        "{{ {'a': 1}[b] }}",
        "{% for a in [1, 2] %}{% endfor %}",
        "{% for a in (1, 2) %}{% endfor %}",
        "{% for a in range(3) %}{% endfor %}",
        "{{ a | sort }}",
        "{{ a | groupby('b') }}",
        "{{ a | map('abs') }}",
        "{{ a | select('gt', 1) }}",
        "{{ a | sum }}",
        "{{ a | min }}",
        "{{ a | max }}",
        "{{ a | length }}",
        "{{ a | format(b) }}",
        "{{ a is number }}",
    ],
)
def test_what_computes_is_found(source: str) -> None:
    assert computed(parsed(source))


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.b | usd }}",
        "{{ a['b'] }}",
        "{% if a and not b %}{% endif %}",
        "{% if a is not none %}{{ a }}{% endif %}",
        "{% for name, words in a %}{{ name }}{{ words }}{% endfor %}",
        "{% macro show(a) %}{{ a or '–' }}{% endmacro %}{{ show(b) }}",  # noqa: RUF001
        "{% if loop.first %}{% endif %}",
    ],
)
def test_what_prints_is_let_through(source: str) -> None:
    assert computed(parsed(source)) == []
