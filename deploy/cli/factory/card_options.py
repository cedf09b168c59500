"""Options that say what a file says about itself, for people."""

from argparse import ArgumentParser, Namespace

from agent.core.tflite.flatmeta import Card


def add(parser: ArgumentParser) -> None:
    """--name, --author, --licence, --description and --version."""
    group = parser.add_argument_group("what is written into the .tflite file about it")
    for option, what in (
        ("--name", "of the model"),
        ("--author", "who made it"),
        ("--licence", "such as Apache-2.0"),
        ("--description", "one line about it"),
        ("--version", "of the model, such as 1.2.0"),
    ):
        group.add_argument(option, default="", metavar="TEXT", help=what)


def card(options: Namespace) -> Card:
    return Card(
        name=options.name,
        author=options.author,
        licence=options.licence,
        description=options.description,
        version=options.version,
    )
