-- Reads what a gate knows in one moment.
-- KEYS[1] stock string integer >= 0
-- KEYS[2] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- KEYS[3] pending hash order id -> `<user id>:<owner>`; field `run` as above
-- KEYS[4] journal stream
-- ARGV[1] run_id of the server
-- Returns nil when it is not loaded
-- Returns units in stock, admissions not settled, the id of the newest journal entry
local stock = redis.call("GET", KEYS[1])
local users_run, pending_run = redis.call("HGET", KEYS[2], "run"), redis.call("HGET", KEYS[3], "run")
if not stock or users_run ~= ARGV[1] or pending_run ~= ARGV[1] then
  return false
end
local newest = redis.call("XREVRANGE", KEYS[4], "+", "-", "COUNT", 1)[1]
return { tonumber(stock), redis.call("HLEN", KEYS[3]) - 1, newest and newest[1] or "" }
