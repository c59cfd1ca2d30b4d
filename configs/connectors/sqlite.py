#!/usr/bin/env python3
"""A connector for siemd (output type exec) that keeps events in an SQLite table.

    outputs:
      archive:
        type: exec
        command: [/usr/share/siemd/connectors/sqlite.py, /var/lib/siemd/events.db]

It answers what it has read once that is committed. What was not answered comes
again after a crash, and event_id, the primary key, takes out the repeats.
"""
import json
import os
import sqlite3
import sys


def answer(seq, **verdict):
    print(json.dumps({"seq": seq, **verdict}), flush=True)


def main(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, type TEXT, body TEXT)")
    rest = b""
    while data := os.read(0, 1 << 20):
        *lines, rest = (rest + data).split(b"\n")
        taken = []
        for line in lines:
            request = json.loads(line)
            seq, event = request["seq"], request["event"]
            if not event.get("event_id"):
                answer(seq, error="no event_id", permanent=True)
                continue
            row = (str(event["event_id"]), str(event.get("event_type", "")), json.dumps(event))
            db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", row)
            taken.append(seq)
        db.commit()
        for seq in taken:
            answer(seq, ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
