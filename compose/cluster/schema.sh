#!/bin/sh
# The two databases of a Temporal server: made where they are missing, brought to this version.
set -eu

tool() {
  temporal-sql-tool --plugin postgres12 --endpoint postgresql --port 5432 --user temporal "$@"
}

for pair in temporal:temporal temporal_visibility:visibility; do
  database=${pair%:*}
  update() {
    tool --database "$database" update-schema \
      --schema-dir "/etc/temporal/schema/postgresql/v12/${pair#*:}/versioned"
  }
  tool --database "$database" create
  # A new one has no version yet that could be updated.
  update || { tool --database "$database" setup-schema --version 0.0 && update; }
done
