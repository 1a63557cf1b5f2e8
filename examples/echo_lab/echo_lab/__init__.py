"""EchoLab: a small application of servers and supervisors, for the tests beside it to work on.

It uses `supertester.otp` and nothing else of the library, as an application in production would.
"""

from echo_lab.application import EchoLab, WorkerSupervisor
from echo_lab.counter import Counter, Tally
from echo_lab.echo import Dictionary, Echo, Session
from echo_lab.guestbook import Clerk
from echo_lab.rooms import Room, close_room, open_room, say
from echo_lab.worker import Hoarder, Stubborn, Worker

__all__ = [
    "Clerk",
    "Counter",
    "Dictionary",
    "Echo",
    "EchoLab",
    "Hoarder",
    "Room",
    "Session",
    "Stubborn",
    "Tally",
    "Worker",
    "WorkerSupervisor",
    "close_room",
    "open_room",
    "say",
]
