-- Stores what orders may take of SKUs, unless a newer version is there already. A value is
-- "<version>:<units>"; versions grow with every transaction that changes the SKU.
-- KEYS[n] available string, one per SKU
-- ARGV[1] ttl_ms 1..86400000
-- ARGV[2..] version_and_units of each SKU in turn
-- Returns the number of values stored.
local stored = 0
for index, key in ipairs(KEYS) do
  local version = ARGV[2 * index]
  local units = ARGV[2 * index + 1]
  local current = redis.call("GET", key)
  local current_version = current and tonumber(string.match(current, "^(%d+):")) or -1
  if tonumber(version) >= current_version then
    redis.call("SET", key, version .. ":" .. units, "PX", ARGV[1])
    stored = stored + 1
  end
end
return stored
