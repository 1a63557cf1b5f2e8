"""Contamination: what a test changes in its process, and leaves changed for the tests after it.

In the mode ``contamination_detection`` the state of the process is compared before and after each test. The test fails
for each difference, and what can be restored is. Such a test runs alone, because a difference has no author.

No contamination are

- the hooks of this library;
- modules that the test is the first to import, and what they register when they are imported: any other test would have
  got them too. A module that was put into ``sys.modules`` by hand, replaced or removed, or that was found by a path
  which the test added, is reported;
- what is made when it is first used: the default event loop policy, the temporary folder, the numbers drawn from the
  common random generator (their state is restored; a test that seeds it is reported);
- threads of the loop's own executor, which end with the loop.

What Python does not tell cannot be compared: codecs and audit hooks that were registered, and objects in a table that
are no containers and change in place.
"""

from supertester.isolation.contamination.comparison import Comparison, contamination_of
from supertester.isolation.contamination.difference import Difference

__all__ = ["Comparison", "Difference", "contamination_of"]
