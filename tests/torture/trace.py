"""Reading what strace wrote: calls in the order of their ends, with paths and whole data."""

import re
from dataclasses import dataclass

CALLS = (
    "openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
    "unlink,unlinkat,mkdir,mkdirat,lseek,sendto,sendmsg"
)
FILTERS = ["-y", "-xx", "-s", "16777216", "-e", f"trace={CALLS}", "-e", "signal=none"]

_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)")
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One system call that came back; `began` counts the calls that had ended when it began."""

    name: str
    text: str
    """Its arguments as strace wrote them."""
    result: int
    began: int


def read_calls(path):
    """The calls of a trace that succeeded."""
    open_calls, calls = {}, []
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = _LINE.match(line)
            if not match:
                continue
            thread, name, how = match.groups()
            body = line[match.end() :].rstrip("\n")
            if body.endswith(_UNFINISHED):
                open_calls[thread] = (body.removesuffix(_UNFINISHED), len(calls))
                continue
            began = len(calls)
            if how != "(":
                head, began = open_calls.pop(thread, ("", began))
                body = head + body
            arguments, _, result = body.rpartition(" = ")
            number = re.match(r"-?\d+", result)
            if number and int(number[0]) >= 0:
                calls.append(
                    Call(name, arguments.rstrip().removesuffix(")"), int(number[0]), began)
                )
    return calls


_TOKEN = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?|<((?:\\x[0-9a-f]{2}|[^<>])*)>')


def plain(text):
    """Bytes of a `\\x41\\x42` text; other characters as they are."""
    parts = re.split(r"((?:\\x[0-9a-f]{2})+)", text)
    return b"".join(
        bytes.fromhex(part.replace("\\x", "")) if part.startswith("\\x") else part.encode()
        for part in parts
    )


def strings(text):
    """The quoted strings of a call, as bytes."""
    return [plain(match[1]) for match in _TOKEN.finditer(text) if match[1] is not None]


def paths(text):
    """The paths of the descriptors of a call."""
    found = [plain(match[2]).decode() for match in _TOKEN.finditer(text) if match[2] is not None]
    return [path.removesuffix(" (deleted)") for path in found]
