"""What the parts of a page raise where they cannot answer; it needs no web server, as commands have none."""


class NotNow(Exception):
    """An answer other than what was asked for.

    Args:
        status: of HTTP.
        words: one sentence for whoever asked.
        headers: beside it.
    """

    def __init__(self, status: int, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers
