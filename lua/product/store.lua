-- Keeps a product's text in the cache unless a newer version is known there.
-- KEYS[1] entry string `<version>:<text>`; empty text = what is older than the version is outdated
-- ARGV[1] version integer >= 1
-- ARGV[2] text the product as JSON
-- ARGV[3] ttl_ms integer >= 1
-- Returns 1 stored
-- Returns 0 outdated: the entry knows a newer version
local version = tonumber(ARGV[1])
local known = redis.call("GETRANGE", KEYS[1], 0, 20)
local known_version = tonumber(string.match(known, "^(%d+):") or "0")
if known_version > version then
  return 0
end
redis.call("SET", KEYS[1], ARGV[1] .. ":" .. ARGV[2], "PX", ARGV[3])
return 1
