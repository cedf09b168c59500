import sys


def main() -> int:
    try:
        from agent.cli.main import main as command_line  # noqa: PLC0415 - Ctrl-C may come while it is imported
    except KeyboardInterrupt:
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
