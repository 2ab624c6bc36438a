-- Deletes a cached product that is older than a version, and remembers that version for a while, so
-- that a slow reader cannot put the old text back.
-- KEYS[1] entry string `<version>:<text>`; empty text = what is older than the version is outdated
-- ARGV[1] version integer >= 1
-- ARGV[2] ttl_ms integer >= 1
-- Returns 1 outdated
-- Returns 0 current: the entry is of this version or newer
local version = tonumber(ARGV[1])
local known = redis.call("GETRANGE", KEYS[1], 0, 20)
local known_version = tonumber(string.match(known, "^(%d+):") or "0")
if known_version >= version then
  return 0
end
redis.call("SET", KEYS[1], ARGV[1] .. ":", "PX", ARGV[2])
return 1
