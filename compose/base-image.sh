#!/bin/bash
# Makes a base image with Python from Debian's packages, for machines that can't pull one.
# It trusts the authorities that this machine trusts, so that packages can be fetched while building.
set -euo pipefail
tag=$1
authorities=/etc/ssl/certs/ca-certificates.crt
# A session of its own: when it fails, mmdebstrap ends its whole process group, which would be make's, too.
setsid --wait mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --customize-hook="upload $authorities $authorities" \
    trixie - |
    docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' - "$tag"
