"""What goes wrong during a soak: one fault after the other, in a cycle, with quiet in between."""

import dataclasses
import itertools
import typing


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    about: str
    lasts_s: float
    begin: typing.Callable
    end: typing.Callable


@dataclasses.dataclass
class Mark:
    """A fault that has been, in seconds since the soak began."""
    name: str
    begun_s: float
    ended_s: float

    def touches(self, begun_s, ended_s):
        return self.begun_s <= ended_s and begun_s <= self.ended_s


class Cycle:
    """The last fault is over, and a time of quiet too, when the soak ends."""

    def __init__(self, faults, quiet_s, until_s):
        self.turns = itertools.cycle(faults)
        self.quiet_s = quiet_s
        self.until_s = until_s
        self.next = next(self.turns)
        self.due_s = quiet_s
        self.begun_s = None  # of the fault that is under way
        self.marks = []

    @property
    def under_way(self):
        return self.next.name if self.begun_s is not None else None

    def step(self, now_s):
        """Begins or ends what is due by now."""
        if now_s < self.due_s:
            return
        if self.begun_s is not None:
            self.next.end()
            self.marks.append(Mark(self.next.name, self.begun_s, now_s))
            self.next = next(self.turns)
            self.begun_s = None
            self.due_s = now_s + self.quiet_s
        elif now_s + self.next.lasts_s + self.quiet_s <= self.until_s:
            self.begun_s = now_s
            self.due_s = now_s + self.next.lasts_s
            self.next.begin()
