"""How the scripts on slixmpp speak with the harness (src/slixmpp.rs): in lines of JSON."""

import json
import sys

# Longer than any answer takes on a busy machine.
PATIENCE = 20


def tell(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
    sys.stdout.flush()
