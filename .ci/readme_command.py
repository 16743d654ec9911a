"""Print the README's command that is marked ``<!-- NAME -->``: CI runs what the README promises."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- {re.escape(sys.argv[1])} -->\s*```[a-z]*\n(.*?)\n```", readme, re.DOTALL)
if not found:
    sys.exit(f"README.md has no command marked {sys.argv[1]}")
print(found[1])
