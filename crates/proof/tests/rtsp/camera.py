"""A network camera: serves the H.264 and AAC of one file at rtsp://127.0.0.1:PORT/camera, in real time.

Usage: camera.py PORT FILE. Says "ready" once it listens. Needs Debian's gir1.2-gst-rtsp-server-1.0 and python3-gi.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

port, path = sys.argv[1:]
Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch(
    f'( filesrc location="{path}" ! qtdemux name=file '
    "file.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 "
    "file.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
server.get_mount_points().add_factory("/camera", factory)
if not server.attach(None):
    sys.exit(f"cannot listen at port {port}")
print("ready", flush=True)
GLib.MainLoop().run()
