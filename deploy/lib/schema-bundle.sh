# TypeBox in one file (packages/schema says why). Sourced by deploy/bootstrap; done again when its version or what is used of it changes.

bundle_schema() {
  local source="$root/packages/schema" product="$root/packages/schema/build/schema.js" stamp
  stamp=$(hash_of "$(node -p 'require(process.argv[1]).version' "$root/node_modules/typebox/package.json")" "$source")
  is_current schema "$stamp" "$product" && return 0
  doing "bundling TypeBox into packages/schema/build"
  run_logged schema "$root/node_modules/.bin/esbuild" "$source/src/schema.js" --bundle --format=esm --platform=node --target=node20 \
    --outfile="$product" || fail "no schemas, no messages: nothing can run"
  remember schema "$stamp"
}
