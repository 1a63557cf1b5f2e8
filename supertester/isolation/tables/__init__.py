"""Tables: shared objects of a program, of which each test sees its own copies.

Before the first test mirrors a table, nothing is changed in the program. Then a stand-in is put, once, wherever the
program holds it; it passes every operation on to the copy of the test that the calling code belongs to, or else to the
table itself. `supertester.isolation.uninstall` puts the table back.
"""

from supertester.isolation.tables.handle import Tables, tables_of
from supertester.isolation.tables.injection import Restore

__all__ = ["Restore", "Tables", "tables_of"]
