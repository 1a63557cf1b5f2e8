"""Programs, as the rest of an application sees them: nothing here knows how they are run."""

from __future__ import annotations

from typing import Any, Protocol

from session_pool.pool import SessionPool

__all__ = ["ProgramAdapter", "PythonPool"]


class ProgramAdapter(Protocol):
    """Whatever runs programs."""

    def create_program(self, config: dict[str, Any]) -> str: ...

    def execute_program(
        self, program_id: str, inputs: dict[str, Any], options: dict[str, Any] | None = None
    ) -> dict[str, Any]: ...

    def list_programs(self) -> list[str]: ...

    def delete_program(self, program_id: str) -> None: ...

    def get_program_info(self, program_id: str) -> dict[str, Any]: ...

    def health_check(self) -> bool: ...

    def get_stats(self) -> dict[str, Any]: ...

    def supports_test_layer(self, layer: str) -> bool: ...

    def get_test_capabilities(self) -> set[str]: ...


class PythonPool:
    """Runs programs on the workers of a pool, all in one session."""

    def __init__(self, pool: SessionPool, session_id: str = "default") -> None:
        self.pool = pool
        self.session_id = session_id

    def session_adapter(self, session_id: str) -> PythonPool:
        """Return one that does the same in another session."""
        return PythonPool(self.pool, session_id)

    def create_program(self, config: dict[str, Any]) -> str:
        return str(self._run("create_program", **config)["program_id"])

    def execute_program(
        self, program_id: str, inputs: dict[str, Any], options: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run a program; the *options* are those of `SessionPool.execute_in_session`."""
        args = {"program_id": program_id, "inputs": inputs}
        result: dict[str, Any] = self.pool.execute_in_session(
            self.session_id, "execute_program", args, **(options or {})
        )
        return result

    def list_programs(self) -> list[str]:
        return list(self._run("list_programs"))

    def delete_program(self, program_id: str) -> None:
        self._run("delete_program", program_id=program_id)

    def get_program_info(self, program_id: str) -> dict[str, Any]:
        return dict(self._run("program_info", program_id=program_id))

    def health_check(self) -> bool:
        return "unhealthy" not in self.pool.health_check().values()

    def get_stats(self) -> dict[str, Any]:
        return self.pool.status()

    def supports_test_layer(self, layer: str) -> bool:
        return layer in {"component", "system", "stress"}

    def get_test_capabilities(self) -> set[str]:
        return {"sessions", "real_processes", "kill"}

    def _run(self, command: str, **args: Any) -> Any:
        return self.pool.execute_in_session(self.session_id, command, args)
