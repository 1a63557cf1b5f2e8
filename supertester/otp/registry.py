"""`Registry`: names of one's own, unique or shared by several processes, each with a value (rule 32)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supertester.errors import UsageError
from supertester.otp.genserver import GenServer
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import Via, existing, resolve
from supertester.otp.runtime import acting_process

__all__ = ["Registry"]

_KINDS = ("unique", "duplicate")


class Registry(GenServer):
    """A process that owns a table of keys; the entries of a process vanish, at once, when it ends.

    The functions on the class work on the table directly, as Elixir's do: no call, no waiting.

    >>> import asyncio
    >>> from supertester.otp import Agent, call
    >>> async def main():
    ...     rooms = await Registry.start_link("unique", name="rooms")
    ...     agent = await Agent.start_link(5, name=Registry.via("rooms", "lobby"))
    ...     return Registry.lookup("rooms", "lobby") == [(agent, None)]
    >>> asyncio.run(main())
    True
    """

    table: dict[Any, dict[Process, Any]]

    @classmethod
    def _otp_check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        keys = args[0] if args else kwargs.get("keys", "unique")
        if keys not in _KINDS:
            raise UsageError(f"keys must be 'unique' or 'duplicate', got keys={keys!r}")
        return args

    def init(self, keys: str = "unique") -> Any:
        self.table = acting_process("init").runtime.new_table()
        self.unique = keys == "unique"
        self.owners: dict[Process, tuple[Callable[[], object], dict[Any, None]]] = {}
        return keys

    def terminate(self, reason: Any) -> None:
        for forget, _ in self.owners.values():
            forget()

    # The table ---------------------------------------------------------------------------------------------------

    @staticmethod
    def register(registry: Any, key: Any, value: Any = None, *, pid: Pid | None = None) -> None:
        """Enter *pid*, by default the current process, under *key* with *value*.

        Raises:
            UsageError: The key is unique and taken (``reason`` is ``("already_registered", pid)``), or *pid* has it.
        """
        server = _server(registry)
        owner = acting_process("register()") if pid is None else existing(pid, "register")
        owners = server.table.setdefault(key, {})
        holders = [each for each in owners if each.is_alive() and (server.unique or each is owner)]
        holder = holders[0] if holders else None
        if holder is not None:
            raise UsageError(f"the key {key!r} is taken by {holder!r}", reason=("already_registered", holder))
        owners[owner] = value
        if owner not in server.owners:
            server.owners[owner] = (owner.on_exit(server.forget), {})
        server.owners[owner][1][key] = None

    @staticmethod
    def unregister(registry: Any, key: Any, *, pid: Pid | None = None) -> None:
        """Remove the entry of *pid*, by default the current process, under *key*; none is no error."""
        server = _server(registry)
        owner = acting_process("unregister()") if pid is None else pid
        server.remove(key, owner)

    @staticmethod
    def lookup(registry: Any, key: Any) -> list[tuple[Pid, Any]]:
        """Return ``(pid, value)`` of everyone under *key*, in the order of registration."""
        return [(owner, value) for owner, value in _server(registry).table.get(key, {}).items() if owner.is_alive()]

    @staticmethod
    def whereis(registry: Any, key: Any) -> Pid | None:
        """Return the process under the unique *key*, or ``None``; also ``None`` when the registry itself is gone."""
        process = resolve(registry)
        if process is None or not isinstance(process.server, Registry):
            return None
        return next((owner for owner in process.server.table.get(key, {}) if owner.is_alive()), None)

    @staticmethod
    def keys(registry: Any, pid: Pid) -> list[Any]:
        """Return the keys of *pid*."""
        known = _server(registry).owners.get(pid)  # type: ignore[call-overload]
        return list(known[1]) if known else []

    @staticmethod
    def dispatch(registry: Any, key: Any, fn: Callable[[list[tuple[Pid, Any]]], object]) -> None:
        """Call ``fn(entries)`` with the entries under *key*, if there are any."""
        entries = Registry.lookup(registry, key)
        if entries:
            fn(entries)

    @staticmethod
    def count(registry: Any) -> int:
        """Return how many entries there are."""
        return sum(map(len, _server(registry).table.values()))

    @staticmethod
    def via(registry: Any, key: Any) -> Via:
        """Return a name: ``start_link(name=Registry.via(registry, key))`` registers there instead of in the runtime."""
        return Via(registry, key)

    def forget(self, owner: Process) -> None:
        """*owner* has ended: remove its entries."""
        for key in self.owners[owner][1].copy():
            self.remove(key, owner)
        self.owners.pop(owner, None)

    def remove(self, key: Any, owner: Any) -> None:
        """Remove one entry."""
        owners = self.table.get(key)
        if owners is not None and owner in owners:
            del owners[owner]
            self.owners[owner][1].pop(key, None)
            if not owners:
                del self.table[key]


def _server(registry: Any) -> Registry:
    server = existing(registry, "registry").server
    if not isinstance(server, Registry):
        raise UsageError(f"{registry!r} is no Registry")
    return server
