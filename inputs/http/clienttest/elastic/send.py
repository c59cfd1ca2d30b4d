"""Indexes documents with the official client of Elasticsearch, and says how many were taken."""

import json
import sys

import elasticsearch
from elasticsearch import Elasticsearch, helpers

url, token, prefix, count = sys.argv[1:]

client = Elasticsearch(
    url,
    basic_auth=("app", token),
    http_compress=True,
    retry_on_status=(429, 502, 503, 504),
    retry_on_timeout=True,
    max_retries=600,
    request_timeout=60,
)


def actions():
    for n in range(int(count)):
        action = {"_op_type": "create", "_index": "apps", "@timestamp": "2026-01-02T03:04:05Z", "n": n}
        if n % 10:  # every tenth has no id of its own
            action["_id"] = f"{prefix}{n}"
        yield action


info = client.info()
taken = 0
for ok, item in helpers.streaming_bulk(client, actions(), chunk_size=100, max_retries=100, initial_backoff=0.1, max_backoff=1):
    if not ok:
        sys.exit(f"not taken: {item}")
    taken += 1
print(json.dumps({"taken": taken, "server": info["version"]["number"], "client": elasticsearch.__versionstr__}))
