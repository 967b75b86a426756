"""nova-compute with the hypervisor beside this file, which can be told to wait or to fail.

Nova loads drivers from its own package ``nova.virt`` only, hence the longer path of that. The driver is
loaded once the configuration is read: before, it would freeze the pace of all that Nova does periodically.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nova.cmd import compute  # type: ignore[import-not-found]  # first: it chooses Nova's kind of threads

import nova.virt  # type: ignore[import-not-found]  # isort: skip

nova.virt.__path__.append(str(Path(__file__).parent))
sys.exit(compute.main())
