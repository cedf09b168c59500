"""The Debian package's life on a fresh machine; runs as root inside the container of the rig."""

import platform
import time
from pathlib import Path

from rigged import (
    BROKER,
    DEVICE,
    INSTALLER,
    UNIT,
    a_broker,
    changed,
    everything,
    predicts,
    process,
    run,
    say,
    step,
)  # fmt: skip
from stranger import WITHOUT_WORKERS

FOLDER = Path("/src/dist")
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def the_package() -> Path:
    architecture = run("dpkg", "--print-architecture").strip()
    debian = platform.freedesktop_os_release()["VERSION_ID"]
    (found,) = FOLDER.glob(f"shoal_*+deb{debian}_{architecture}.deb")
    return found


def a_newer_one(*, broken: str = "") -> Path:
    """The same files under a higher version; `broken` is put at the top of the command that the unit runs."""
    folder = Path("/root/broken" if broken else "/root/newer")
    run("dpkg-deb", "--raw-extract", str(the_package()), str(folder))
    control = folder / "DEBIAN/control"
    lines = control.read_text("utf-8").splitlines()
    control.write_text(
        "".join(f"{line}+{folder.name}\n" if line.startswith("Version:") else f"{line}\n" for line in lines),
        "utf-8",
    )
    for path in folder.glob("usr/lib/shoal/lib/python3.*/site-packages/shoal-*/RECORD") if broken else ():
        main = path.parents[1] / "agent/cli/main.py"
        main.write_text(main.read_text("utf-8") + broken, "utf-8")
        path.write_text(
            path.read_text("utf-8").replace("agent/cli/main.py,", "agent/cli/main.py,other-"), "utf-8"
        )
    run("dpkg-deb", "-Znone", "--build", str(folder), f"{folder}.deb")
    return Path(f"{folder}.deb")


def it_installs_without_a_network() -> None:
    with step("dpkg -i needs no network, and a device without settings has not failed"):
        run("dpkg", "-i", str(the_package()), env=NOWHERE)
        assert run("systemctl", "is-active", UNIT, status=3).strip() == "inactive"
        assert run("systemctl", "is-enabled", UNIT).strip() == "enabled"
        say(f"    {run('shoal-agent', '--version').strip()}; {run('shoal', '--version').strip()}")


def one_command_brings_predictions() -> None:
    with step("shoal-setup with a broker's address, and predictions are heard"):
        say(run("shoal-setup", "--broker", BROKER, "--yes"))
        predicts(f"shoal/{DEVICE}", DEVICE)
    with step("the same again changes nothing, and restarts nothing"):
        before = process()
        assert "Nothing to do" in run("shoal-setup", "--broker", BROKER, "--yes")
        assert process() == before


def the_other_way_of_installing_stays_away() -> None:
    with step("install.sh does not install beside the package"):
        assert "the Debian package shoal is installed" in run(
            INSTALLER, "--broker", BROKER, "--yes", status=1
        )
        assert "use shoal-agent demo" in run(INSTALLER, "--try", status=1)


def a_broken_upgrade_costs_no_model() -> None:
    def status() -> str:
        return run("systemctl", "show", "--value", "--property=StatusText", UNIT)

    with step("a package whose workers die, and the one before again: the model on probation goes on"):
        assert "probation" in status()
        run("dpkg", "-i", str(a_newer_one(broken=WITHOUT_WORKERS)), env=NOWHERE)
        until = time.monotonic() + 300
        while "worker keeps ending" not in status():
            assert time.monotonic() < until, status()
            time.sleep(1)
        run("dpkg", "-i", str(the_package()), env=NOWHERE)
        predicts(f"shoal/{DEVICE}", DEVICE)
        told = run("journalctl", "--unit", UNIT, "--output=cat")
        assert "reverted" not in told, told[-8000:]


def an_upgrade_keeps_settings_and_models() -> None:
    with step("an upgrade restarts the service, which goes on with its model"):
        before = process()
        run("dpkg", "-i", str(a_newer_one()), env=NOWHERE)
        assert process() not in {before, "0"}
        predicts(f"shoal/{DEVICE}", DEVICE)


def it_takes_over_from_the_other_way() -> None:
    with step("beside install.sh it refuses; what that one kept, it goes on with"):
        run(INSTALLER, "--broker", BROKER, "--yes")
        predicts(f"shoal/{DEVICE}", DEVICE)
        pid = process()
        assert "install.sh has put it into /opt/shoal" in run("dpkg", "-i", str(the_package()), status=1)
        assert process() == pid
        run(INSTALLER, "uninstall", "--keep-settings", "--keep-models", "--yes")
        run("dpkg", "-i", str(the_package()), env=NOWHERE)
        predicts(f"shoal/{DEVICE}", DEVICE)


def main() -> None:
    a_broker()
    before = everything()
    it_installs_without_a_network()
    one_command_brings_predictions()
    a_broken_upgrade_costs_no_model()
    the_other_way_of_installing_stays_away()
    an_upgrade_keeps_settings_and_models()
    with step("purge leaves nothing behind"):
        run("dpkg", "--purge", "shoal")
        assert not changed(before), changed(before)[:40]
    it_takes_over_from_the_other_way()
    with step("and purge leaves nothing of either"):
        run("dpkg", "--purge", "shoal")
        assert not changed(before), changed(before)[:40]


if __name__ == "__main__":
    main()
