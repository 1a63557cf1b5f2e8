"""The parts of `supertester.schedule.exploring_loop.ExploringLoop`."""
