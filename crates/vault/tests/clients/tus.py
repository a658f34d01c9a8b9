"""Uploads a file with tuspy; prints where it went. Driven by tests/e2e/tus_clients.rs.

    python3 tus.py SCENARIO FILE URL TOKEN      with PYTHONPATH=<folder of tusclient>
"""

import os
import sys

from tusclient import client

scenario, path, url, token = sys.argv[1:5]
tus = client.TusClient(url, headers={"Authorization": f"Bearer {token}"})
size = os.path.getsize(path)
piece = size // 5 + 1
metadata = {"device": "bus", "camera": "front", "filename": os.path.basename(path)}

if scenario == "checksum":
    uploader = tus.uploader(path, chunk_size=piece, metadata=metadata, upload_checksum=True)
    uploader.upload()
elif scenario == "resume":
    first = tus.uploader(path, chunk_size=piece, metadata=metadata, upload_checksum=True)
    first.upload(stop_at=2 * piece)
    uploader = tus.uploader(path, chunk_size=piece, url=first.url, upload_checksum=True)
    assert uploader.offset == 2 * piece, uploader.offset
    uploader.upload()
else:
    sys.exit(f"no scenario {scenario}")
assert uploader.offset == size, uploader.offset
print(uploader.url)
