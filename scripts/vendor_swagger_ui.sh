#!/usr/bin/env bash
# Takes the files of Swagger UI that /docs serves out of its npm package: scripts/vendor_swagger_ui.sh VERSION
set -euo pipefail
target=$(dirname "$0")/../server/jobyard_server/console/assets/swagger-ui
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm pack --silent --pack-destination "$scratch" "swagger-ui-dist@$1" >/dev/null
tar --extract --gzip --directory "$scratch" --file "$scratch"/swagger-ui-dist-*.tgz
for name in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE; do
    cp "$scratch/package/$name" "$target/"
done
# The source maps stay behind: browsers would ask for them in vain.
sed -i '/sourceMappingURL=/d' "$target"/swagger-ui-bundle.js "$target"/swagger-ui.css
