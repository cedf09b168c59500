import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edgetpu import symptoms
from agent.core.edgetpu.diagnosis import Holder, Host, Node, diagnose
from agent.core.edgetpu.words import Bus, Obstacle, Ready, Tpu, Trouble, buses, matching, numbered, ways

BOTH = numbered([(Bus.PCI, "/dev/apex_0"), (Bus.USB, "/sys/2-1"), (Bus.USB, "/sys/2-2")])
STICK = Node(Bus.USB, "/dev/bus/usb/002/003", writable=True, owner="root:plugdev 0660", group="plugdev")
CARD = Node(Bus.PCI, "/dev/apex_0", writable=True, owner="root:apex 0660", group="apex")
TPU = Tpu(Bus.USB, 0, "/sys/bus/usb/devices/2-1")
APEX = Tpu(Bus.PCI, 0, "/dev/apex_0")


@pytest.mark.parametrize(
    ("device", "names"),
    [
        ("", ["pci:0", "usb:0", "usb:1"]),
        ("usb", ["usb:0", "usb:1"]),
        ("usb:1", ["usb:1"]),
        ("usb:2", []),
        ("pci", ["pci:0"]),
        (":2", ["usb:1"]),
        (":3", []),
        ("usb1", []),
        ("/dev/apex_0", []),
    ],
)
def test_a_device_string_means_what_libedgetpu_reads_in_it(device, names):
    assert [tpu.name for tpu in matching(device, BOTH)] == names


@given(st.lists(st.sampled_from(Bus)), st.sampled_from(["", "usb", "pci"]))
def test_every_number_of_a_bus_means_one_device_of_those_that_the_bus_means(listed, device):
    tpus = numbered((bus, str(place)) for place, bus in enumerate(listed))
    together = matching(device, tpus)

    assert tuple(tpu for n in range(len(listed)) for tpu in matching(f"{device}:{n}", tpus)) == together
    assert {tpu.bus for tpu in together} <= buses(device)


def test_a_clock_is_asked_for_by_number_only_and_the_fastest_is_left_to_the_library():
    assert ways("", "max", BOTH) == [{}]
    assert ways("usb", "max", BOTH) == [{"device": "usb"}]
    assert ways(":1", "low", BOTH) == [{"device": ":1", "Performance": "Low"}]
    assert ways("usb", "medium", BOTH) == [
        {"device": "usb:0", "Performance": "Medium"},
        {"device": "usb:1", "Performance": "Medium"},
    ]
    assert ways("usb", "high", ()) == []


CAUSES = [
    ("", (), Host(), None, Obstacle.ABSENT, "no Edge TPU is plugged in"),
    ("pci", (TPU,), Host(nodes=(STICK,)), None, Obstacle.NO_SUCH_DEVICE, "only usb:0"),
    ("usb:1", (TPU,), Host(nodes=(STICK,)), False, Obstacle.NO_SUCH_DEVICE, "'usb:1'"),
    (
        "",
        (),
        Host(pci_functions=("0000:01:00.0",), kernel="6.12.3"),
        None,
        Obstacle.DRIVER_MISSING,
        "no driver for it in kernel 6.12.3",
    ),
    (
        "pci",
        (),
        Host(pci_functions=("0000:01:00.0",), driver=True),
        None,
        Obstacle.DRIVER_MISSING,
        "gives no /dev/apex_0",
    ),
    (
        "",
        (),
        Host(pci_functions=("0000:01:00.0",), page_bytes=16384),
        None,
        Obstacle.PAGE_SIZE,
        "pages of 16 KiB",
    ),
    ("pci", (APEX,), Host(nodes=(CARD,), page_bytes=16384), False, Obstacle.PAGE_SIZE, "kernel8.img"),
    (
        "",
        (TPU,),
        Host(
            nodes=(Node(Bus.USB, "/dev/x", writable=False, owner="root:root 0664", group="root"),),
            user="shoal",
        ),
        None,
        Obstacle.NOT_PERMITTED,
        "may not write /dev/x (root:root 0664): install 71-shoal-coral.rules, which gives it to the group",
    ),
    (
        "",
        (),
        Host(
            nodes=(Node(Bus.USB, "/dev/x", writable=False, owner="root:plugdev 0660", group="plugdev"),),
            user="shoal",
        ),
        False,
        Obstacle.NOT_PERMITTED,
        "usermod -aG plugdev shoal",
    ),
    (
        "pci",
        (APEX,),
        Host(
            nodes=(Node(Bus.PCI, "/dev/apex_0", writable=False, owner="root:apex 0660", group="apex"),),
            user="shoal",
            groups=frozenset({"plugdev"}),
        ),
        None,
        Obstacle.NOT_PERMITTED,
        "usermod -aG apex shoal",
    ),
    (
        "",
        (TPU,),
        Host(nodes=(STICK,), holders=(Holder(7, "frigate"),)),
        False,
        Obstacle.BUSY,
        "process 7 (frigate)",
    ),
    (
        "pci",
        (APEX,),
        Host(nodes=(Node(Bus.PCI, "/dev/apex_0", writable=True, owner="", group="apex", claimed=True),)),
        False,
        Obstacle.BUSY,
        "in a process of another user",
    ),
    ("", (TPU,), Host(nodes=(STICK,)), False, Obstacle.NOT_ANSWERING, "does not open"),
    ("", (), Host(nodes=(STICK,)), None, Obstacle.NOT_ANSWERING, "/dev/bus/usb/002/003"),
]


@pytest.mark.parametrize(("device", "tpus", "host", "opened", "obstacle", "words"), CAUSES)
def test_every_cause_is_told_from_the_others(device, tpus, host, opened, obstacle, words):
    trouble = diagnose(device, tpus, host, opened=opened)

    assert isinstance(trouble, Trouble)
    assert trouble.obstacle is obstacle
    assert words in str(trouble)
    assert not trouble.cause.endswith(".")


def test_one_that_opened_or_could_be_is_ready_whoever_has_it():
    held = Host(nodes=(STICK,), holders=(Holder(7, "python3"),))

    assert diagnose("", (TPU,), held) == Ready((TPU,), held_by="process 7 (python3)")
    assert diagnose("", (TPU,), Host()) == Ready((TPU,))
    assert diagnose("", (TPU,), Host(), opened=True) == Ready((TPU,))


@pytest.mark.parametrize(
    ("text", "obstacle", "words"),
    [
        (
            "libedgetpu.so.1: cannot open shared object file: No such file or directory",
            Obstacle.LIBRARY_MISSING,
            "libedgetpu.so.1 is not installed: install a libedgetpu1-std",
        ),
        (
            "libusb-1.0.so.0: cannot open shared object file: No such file or directory",
            Obstacle.LIBUSB_MISSING,
            "apt install libusb-1.0-0",
        ),
        (
            "libflatbuffers.so.2: cannot open shared object file: No such file or directory",
            Obstacle.LIBRARY_UNUSABLE,
            "needs libflatbuffers.so.2, which is not installed",
        ),
        (
            "/lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by libedgetpu.so.1)",
            Obstacle.LIBRARY_UNUSABLE,
            "built for a newer system than this (GLIBC_2.38)",
        ),
        (
            "libedgetpu.so.1: wrong ELF class: ELFCLASS32",
            Obstacle.LIBRARY_UNUSABLE,
            "no library for this machine",
        ),
        ("libedgetpu.so.1: file too short", Obstacle.LIBRARY_UNUSABLE, "file too short"),
    ],
)
def test_what_the_dynamic_linker_says_is_understood(text, obstacle, words):
    trouble = symptoms.linking("libedgetpu.so.1", text)

    assert trouble.obstacle is obstacle
    assert words in str(trouble)


def test_the_last_words_before_an_abort_are_recognised_and_no_others():
    line = (
        "F driver/usb/usb_driver.cc:857] transfer on tag 2 failed. Abort. Deadline exceeded: "
        "USB transfer error 2 [LibUsbDataOutCallback]"
    )

    assert symptoms.lost(line).startswith("transfer on tag 2 failed")
    assert symptoms.lost("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.") is None
    assert symptoms.lost("Fatal Python error: Aborted") is None


@pytest.mark.parametrize(
    ("how", "obstacle"),
    [
        ("killed by SIGSEGV", Obstacle.ABI_MISMATCH),
        ("killed by SIGABRT", Obstacle.NOT_ANSWERING),
        ("no answer within 30 s", Obstacle.NOT_ANSWERING),
        ("transfer on tag 2 failed. Abort.", Obstacle.NOT_ANSWERING),
    ],
)
def test_a_crash_speaks_against_the_library_and_silence_against_the_device(how, obstacle):
    assert symptoms.died(how).obstacle is obstacle
