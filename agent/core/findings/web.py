"""Whether the device's page would come up, and who could reach it."""

from typing import Final

from agent.core.findings.finding import Facts, Finding, degraded, note, ok
from agent.core.page.place import Place, is_loopback

_NAME: Final = "web"


def no_page() -> Finding:
    return ok(_NAME, "no page: web.listen is empty")


def refused(reason: str) -> Finding:
    return degraded(
        "web.refused", f"no page: {reason}", "the device serves without it; mend the [web] section"
    )


def page(place: Place, reason: str, *, tls: bool, asks: bool) -> Finding:
    """
    Args:
        place: where it listens.
        reason: why that is not to be had just now; empty: it is.
        tls: whether it speaks https.
        asks: whether it asks for a password.
    """
    url = f"{'https' if tls else 'http'}://{place}/"
    facts: Facts = {"listen": str(place), "loopback": place.loopback}
    if reason:
        return degraded(
            "web.not-to-be-had",
            f"the page {url} cannot come up: {reason}",
            "end the program that has the port, or give web.listen another address or port",
            facts,
        )
    others = f"whoever comes by {place.proxy}" if place.proxy else "whoever reaches this host"
    whom = "this host alone" if place.loopback else others
    words = f"the page {url} is for {whom}, {'with' if asks else 'without'} a password"
    if tls or is_loopback(place.host):
        return ok(_NAME, words, facts)
    return note(
        "web.plain",
        f"{words}, which travels unencrypted",
        "name web.certificate and web.key, unless the network between is your own",
        facts,
    )
