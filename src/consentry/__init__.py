"""Consentry: a self-hosted camera platform with face recognition that can be held to account."""

import os

__version__ = "0.2.0"

# Before any library is imported, and for every process started from here (invariant I6): onnxruntime reports
# to its maker unless told not to before it loads, and FastAPI exports traces where the environment says so.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["OTEL_SDK_DISABLED"] = "true"
