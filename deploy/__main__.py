import sys


def main() -> int:
    try:
        from deploy.cli.main import main as command_line  # noqa: PLC0415 - a device has no operator's packages

        # Each command loads what it needs when it is asked for.
        return command_line()
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "pooch", "cryptography"}:
            raise
        sys.stderr.write(f"shoal: {error.name} is missing: pip install 'shoal[operator]'\n")
        return 78
    except KeyboardInterrupt:
        sys.stderr.write("shoal: interrupted\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
