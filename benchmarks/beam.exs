# Erlang's own figures: reads lines "NAME UNITS", answers each with the nanoseconds that one unit took.

defmodule Echo do
  use GenServer
  def start(opts \\ []), do: GenServer.start(__MODULE__, nil, opts)
  def start_link(opts \\ []), do: GenServer.start_link(__MODULE__, nil, opts)
  def init(state), do: {:ok, state}
  def handle_call(request, _from, state), do: {:reply, request, state}
  def handle_cast(message, _state), do: {:noreply, message}
end

defmodule Figures do
  @callers 100

  def run("call", units) do
    with_echo(fn pid -> timed(units, fn -> calls(pid, units) end) end)
  end

  def run("callers", units) do
    share = div(units + @callers - 1, @callers)

    with_echo(fn pid ->
      timed(share * @callers, fn ->
        for(_ <- 1..@callers, do: Task.async(fn -> calls(pid, share) end)) |> Task.await_many(:infinity)
      end)
    end)
  end

  def run("cast", units) do
    with_echo(fn pid ->
      timed(units, fn ->
        casts(pid, units)
        GenServer.call(pid, :sync, :infinity)
      end)
    end)
  end

  def run("spawn", units), do: spawning(units, &Echo.start/0)
  def run("spawn-linked", units), do: spawning(units, &Echo.start_link/0)

  def run("restart", units) do
    child = %{id: :echo, start: {Echo, :start_link, [[name: :echo]]}}
    {:ok, sup} = Supervisor.start_link([child], strategy: :one_for_one, max_restarts: 1_000_000_000)
    taken = timed(units, fn -> restarts(units) end)
    Supervisor.stop(sup)
    taken
  end

  defp spawning(units, start) do
    # In a process of its own, as the caller's heap grows with the pids and its links.
    Task.async(fn ->
      Process.flag(:trap_exit, true)
      begun = System.monotonic_time(:nanosecond)
      pids = start_all(units, start, [])
      GenServer.call(hd(pids), :sync)
      taken = System.monotonic_time(:nanosecond) - begun
      monitors = for pid <- pids, do: Process.monitor(pid)
      for pid <- pids, do: Process.exit(pid, :kill)
      for ref <- monitors, do: receive(do: ({:DOWN, ^ref, _, _, _} -> :ok))
      taken / units
    end)
    |> Task.await(:infinity)
  end

  defp start_all(0, _start, pids), do: pids

  defp start_all(left, start, pids) do
    {:ok, pid} = start.()
    start_all(left - 1, start, [pid | pids])
  end

  defp restarts(0), do: :ok

  defp restarts(left) do
    old = Process.whereis(:echo)
    Process.exit(old, :kill)
    GenServer.call(replaced(old), :sync)
    restarts(left - 1)
  end

  defp replaced(old) do
    case Process.whereis(:echo) do
      pid when is_pid(pid) and pid != old -> pid
      _ -> :erlang.yield() && replaced(old)
    end
  end

  defp calls(_pid, 0), do: :ok

  defp calls(pid, left) do
    GenServer.call(pid, left)
    calls(pid, left - 1)
  end

  defp casts(_pid, 0), do: :ok

  defp casts(pid, left) do
    GenServer.cast(pid, left)
    casts(pid, left - 1)
  end

  defp with_echo(work) do
    {:ok, pid} = Echo.start()
    taken = work.(pid)
    GenServer.stop(pid)
    taken
  end

  defp timed(units, work) do
    begun = System.monotonic_time(:nanosecond)
    work.()
    (System.monotonic_time(:nanosecond) - begun) / units
  end
end

# A supervisor of OTP logs every restart, one here does not.
Logger.configure(level: :none)

for line <- IO.stream(:stdio, :line) do
  [name, units] = String.split(line)
  IO.puts(Figures.run(name, String.to_integer(units)))
end
