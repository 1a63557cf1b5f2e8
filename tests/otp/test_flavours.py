"""The core of the rules once more: on uvloop, under a seeded scheduler, and with direct calls."""

from __future__ import annotations

from typing import Any

from supertester.otp import Runtime
from tests.otp import test_kill as kill
from tests.otp import test_rounds as rounds
from tests.otp import test_rules_01_04_identity as identity
from tests.otp import test_rules_05_10_signals as signals
from tests.otp import test_rules_11_14_callbacks as callbacks
from tests.otp import test_rules_15_18_replies as replies
from tests.otp import test_rules_21_24_supervisors as supervisors
from tests.otp import test_rules_25_26_intensity as intensity
from tests.otp import test_rules_27_30_children as children
from tests.otp import test_rules_31_32_layers as layers
from tests.otp import test_rules_33_36_for_tests as for_tests
from tests.otp import test_threads as threads
from tests.otp.support import Direct, OnUvloop, RuntimeCase, Seeded

CORE: tuple[type[RuntimeCase], ...] = (
    identity.Rule03FailedCalls,
    identity.Rule03FailedCallsOfAsyncServers,
    identity.Rule04SendsThatNeverFail,
    identity.Rule04SendsToAsyncServers,
    signals.Rule05ExitSignals,
    signals.Rule05ExitSignalsToAsyncServers,
    signals.Rule06Links,
    signals.Rule08Monitors,
    signals.Rule08MonitorsOfAsyncServers,
    signals.Rule09Parents,
    signals.Rule10OrderAndPropagation,
    signals.Rule10TheDoomed,
    signals.Rule10TheDoomedOfAsyncServers,
    callbacks.Rule11Results,
    callbacks.Rule11ResultsOfAsyncServers,
    callbacks.Rule12Starting,
    callbacks.Rule12StartingAsyncServers,
    callbacks.Rule13ContinuingAndFailing,
    callbacks.Rule14StoppingWithAReply,
    callbacks.Rule14StoppingAsyncServersWithAReply,
    replies.Rule15Replies,
    replies.Rule16Terminate,
    replies.Rule16TerminateOfAsyncServers,
    replies.Rule17TimeoutsAsResults,
    replies.Rule18Stopping,
    supervisors.Rule22StartingChildren,
    supervisors.Rule24Strategies,
    supervisors.Rule24StrategiesOfAsyncChildren,
    intensity.Rule25Intensity,
    intensity.Rule26FailedRestarts,
    children.Rule27StoppingAChild,
    children.Rule27StoppingAnAsyncChild,
    children.Rule29ChangingChildren,
    children.Rule30TheEndOfASupervisor,
    layers.Rule31DynamicSupervisors,
    layers.Rule32Tasks,
    for_tests.Rule34Idleness,
    for_tests.Rule34IdlenessOfAsyncServers,
)
"""What must hold whatever drives the processes."""

ON_UVLOOP: tuple[type[RuntimeCase], ...] = (
    *CORE,
    kill.KillsThatCannotBeSwallowed,
    kill.KillsThatAsyncServersCannotSwallow,
    kill.AsyncioInsideHandlers,
    kill.AsyncioInsideHandlersOfAsyncServers,
    threads.CallsFromOtherThreads,
    for_tests.Rule36SeededSchedules,
    for_tests.Rule36DirectCalls,
    rounds.CallsAndTheirTurn,
)


def flavoured(mixin: type, suffix: str, cases: tuple[type[RuntimeCase], ...]) -> dict[str, Any]:
    """Return a variant of each test case."""
    names = [f"{case.__name__}{suffix}" for case in cases]
    return {name: type(name, (mixin, case), {"__module__": __name__}) for name, case in zip(names, cases, strict=True)}


globals().update(flavoured(OnUvloop, "OnUvloop", ON_UVLOOP))
globals().update(flavoured(Seeded, "Seeded", CORE))
globals().update(flavoured(Direct, "WithDirectCalls", CORE))


class Flavours(OnUvloop, RuntimeCase):
    async def test_the_variants_on_uvloop_run_on_uvloop(self) -> None:
        self.assertIn("uvloop", type(self.rt.loop).__module__)
        self.assertIsInstance(self.rt, Runtime)
