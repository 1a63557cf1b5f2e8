"""Faults of the network: a TCP proxy between a client and a server, and what can be wrong with it."""

from supertester.chaos.network.proxy import NetworkFault, NetworkProxy, network_proxy
from supertester.chaos.network.toxics import Toxic

__all__ = ["NetworkFault", "NetworkProxy", "Toxic", "network_proxy"]
