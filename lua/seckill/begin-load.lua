-- Begins the load of an epoch's gate: an empty hash of holders that belongs to this server run.
-- KEYS[1] stock string; there only when the gate is loaded
-- KEYS[2] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- ARGV[1] run_id of the server
-- ARGV[2] expires_at_ms Unix time, after the sale's end
-- Returns 2 stale: the epoch was loaded by another run of the server and is lost
-- Returns 1 loaded: nothing is left to do
-- Returns 0 begun
if redis.call("EXISTS", KEYS[1]) == 1 then
  return redis.call("HGET", KEYS[2], "run") == ARGV[1] and 1 or 2
end
redis.call("DEL", KEYS[2])
redis.call("HSET", KEYS[2], "run", ARGV[1])
redis.call("PEXPIREAT", KEYS[2], ARGV[2])
return 0
