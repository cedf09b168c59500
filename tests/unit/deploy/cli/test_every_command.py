"""What holds for each command of `shoal` and `shoal-agent`: JSON, examples, help, usage."""

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from agent.cli import main as agent_main
from deploy.cli import main as operator_main

NO_JSON = {
    "shoal serve": "runs until it is stopped; what it decides, shoal history --json tells",
    "shoal page": "runs until it is stopped; what it shows, its address tells as JSON",
    "shoal demo": "its last line is one JSON document",
    "shoal completion": "writes a program for a shell",
    "shoal-agent run": "runs until it is stopped; what it does it logs, and publishes",
    "shoal-agent demo": "runs until it is stopped",
    "shoal-agent completion": "writes a program for a shell",
}
STREAMS = {"shoal watch", "shoal-agent classify"}
"""One JSON document a line."""


def leaves(parser, words) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not below:
        yield " ".join(words), parser
    for action in below:
        for name in action.choices:
            yield from leaves(action.choices[name], (*words, name))


def everything() -> dict[str, argparse.ArgumentParser]:
    shoal, agent = operator_main.parser(), agent_main.parser()
    return {**dict(leaves(shoal, ("shoal",))), **dict(leaves(agent, ("shoal-agent",)))}


ALL = everything()
TOLD = [name for name in ALL if not name.startswith("shoal-agent") or name.split()[1] in agent_main.PUBLIC]
each_command = pytest.mark.parametrize("name", TOLD)


@each_command
def test_whatever_answers_answers_programs_too(name):
    option = ALL[name]._option_string_actions.get("--json")
    assert (option is None) is (name in NO_JSON), NO_JSON.get(name, "it has no --json")
    if option is not None:
        assert ("a line" in option.help) is (name in STREAMS)


@each_command
def test_help_has_an_example_of_the_command_and_says_how_it_ends(name):
    said = ALL[name].epilog or ""
    assert f"  {name}" in said, "no example"
    assert "exit status:" in said


@each_command
def test_every_argument_is_explained(name):
    assert [action.dest for action in ALL[name]._actions if not action.help] == []


@each_command
def test_help_is_no_wider_than_a_terminal_of_110(name):
    assert [line for line in (ALL[name].epilog or "").splitlines() if len(line) > 110] == []


@each_command
def test_an_example_uses_options_that_there_are(name):
    for example in examples(ALL[name].epilog or ""):
        words = shlex.split(example, comments=True)
        command = max(
            (each for each in ALL if words[: len(each.split())] == each.split()), key=len, default=""
        )
        assert command, f"{example}: no such command"
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= set(ALL[command]._option_string_actions), example


def examples(epilog: str) -> Iterator[str]:
    """Without what is told beside one, and without what is done with its answer."""
    whole = epilog.replace("\\\n", " ")
    for line in re.findall(r"^  ((?:shoal|shoal-agent) .*)$", whole, re.MULTILINE):
        yield re.split(r"\s{3,}| [|>] ", line)[0].replace('"$(', "").replace(')"', "")


@pytest.mark.parametrize("command", operator_main.commands(), ids=lambda each: each.name)
def test_other_commands_that_are_named_exist(command):
    named = getattr(command, "also", ()) or [
        also for each in getattr(command, "commands", ()) for also in each.also
    ]
    assert [words for words in named if f"shoal {words}" not in ALL] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["relese"], "shoal: there is no command 'relese': did you mean release? shoal --help tells more"),
        (["rollout", "strat"], "shoal rollout: there is no command 'strat': did you mean start?"),
        (["devices", "--ofline"], "shoal devices: there is no option --ofline: did you mean --offline?"),
        (["members", "pi-1"], "shoal members: pi-1 is one argument too many; shoal members --help"),
        (["why"], "the following arguments are required: DEVICE[/PIPELINE]; shoal why --help tells more"),
    ],
)
def test_wrong_usage_is_one_sentence_with_its_remedy(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        operator_main.main(words)
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("main", [operator_main.main, agent_main.main])
def test_both_say_their_version(main, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"shoal(-agent)? \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
