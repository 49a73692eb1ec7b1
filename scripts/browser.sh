#!/bin/sh
# The pages are driven in Debian's chromium: it is installed where that can be done without asking
# anybody. Without it their tests are skipped, and say so; this never fails.
set -u
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "no chromium here: the tests of the pages are skipped (apt-get install chromium)" >&2
    exit 0
fi
echo "installing chromium for the tests of the pages" >&2
export DEBIAN_FRONTEND=noninteractive
{ timeout 60 apt-get update -q && timeout 240 apt-get install -q -y --no-install-recommends chromium; } \
    >/dev/null 2>&1 || echo "chromium could not be installed: the tests of the pages are skipped" >&2
exit 0
