"""The embedded runtime: OTP's processes, servers and supervisors for asyncio.

It depends on the standard library alone and can be used in production without the test tools. Any asyncio loop will do.
The rules it keeps are OTP's; where a name is OTP's, so is its meaning.
"""

from supertester._core.clock import Clock, ManualClock
from supertester.errors import CallExit, StartFailed, UnknownMessage
from supertester.otp import sys
from supertester.otp.agent import Agent
from supertester.otp.child_spec import ChildSpec, SupervisorSpec
from supertester.otp.dynamic_supervisor import DynamicSupervisor
from supertester.otp.genserver import GenServer
from supertester.otp.idle import until_idle
from supertester.otp.info import ProcessDetails, process_info
from supertester.otp.intercept import intercept
from supertester.otp.messages import Call, Down, Exit, Ref, SystemEvent
from supertester.otp.partition_supervisor import PartitionSupervisor
from supertester.otp.pid import Pid
from supertester.otp.reasons import (
    BRUTAL_KILL,
    INFINITY,
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Crash,
    Shutdown,
    is_crash,
    is_normal,
)
from supertester.otp.refs import Reference, Via, register, unregister, whereis
from supertester.otp.registry import Registry
from supertester.otp.results import IGNORE, NOREPLY, Continue, NoReply, Reply, Stop
from supertester.otp.root import Root
from supertester.otp.runtime import Death, ProcessExited, Runtime, Scheduler, current_runtime
from supertester.otp.signals import (
    call,
    cast,
    demonitor,
    exit,
    flag_trap_exit,
    link,
    monitor,
    self_pid,
    send,
    send_after,
    stop,
    unlink,
)
from supertester.otp.supervision import ChildInfo, SupervisionEvent
from supertester.otp.supervisor import (
    Supervisor,
    TreeNode,
    count_children,
    delete_child,
    get_childspec,
    get_tree,
    intensity_left,
    restart_child,
    start_child,
    strategy,
    terminate_child,
    which_children,
)
from supertester.otp.task import Task

__all__ = [
    "BRUTAL_KILL",
    "IGNORE",
    "INFINITY",
    "KILL",
    "KILLED",
    "NOPROC",
    "NOREPLY",
    "NORMAL",
    "SHUTDOWN",
    "TIMEOUT",
    "Agent",
    "Call",
    "CallExit",
    "ChildInfo",
    "ChildSpec",
    "Clock",
    "Continue",
    "Crash",
    "Death",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "GenServer",
    "ManualClock",
    "NoReply",
    "PartitionSupervisor",
    "Pid",
    "ProcessDetails",
    "ProcessExited",
    "Ref",
    "Reference",
    "Registry",
    "Reply",
    "Root",
    "Runtime",
    "Scheduler",
    "Shutdown",
    "StartFailed",
    "Stop",
    "SupervisionEvent",
    "Supervisor",
    "SupervisorSpec",
    "SystemEvent",
    "Task",
    "TreeNode",
    "UnknownMessage",
    "Via",
    "call",
    "cast",
    "count_children",
    "current_runtime",
    "delete_child",
    "demonitor",
    "exit",
    "flag_trap_exit",
    "get_childspec",
    "get_tree",
    "intensity_left",
    "intercept",
    "is_crash",
    "is_normal",
    "link",
    "monitor",
    "process_info",
    "register",
    "restart_child",
    "self_pid",
    "send",
    "send_after",
    "start_child",
    "stop",
    "strategy",
    "sys",
    "terminate_child",
    "unlink",
    "unregister",
    "until_idle",
    "whereis",
    "which_children",
]
