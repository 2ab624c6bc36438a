-- Ends the load of an epoch's gate: the stock, which comes last, makes it answer.
-- KEYS[1] stock string integer >= 0
-- KEYS[2] window string `<starts_at_ms>:<ends_at_ms>`
-- KEYS[3] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- KEYS[4] pending hash order id -> `<user id>:<owner>`; field `run` as above
-- KEYS[5] journal stream
-- ARGV[1] run_id of the server
-- ARGV[2] window
-- ARGV[3] expires_at_ms Unix time, after the sale's end
-- ARGV[4] holder_count that were added
-- ARGV[5] stock units without the holders
-- Returns 1 open, now or before
-- Returns 0 disturbed: holders are missing, or the load was not begun by this run
local is_ours = redis.call("HGET", KEYS[3], "run") == ARGV[1]
if redis.call("EXISTS", KEYS[1]) == 1 then
  return is_ours and 1 or 0
end
if not is_ours or redis.call("HLEN", KEYS[3]) ~= 1 + ARGV[4] then
  return 0
end
redis.call("DEL", KEYS[4], KEYS[5])
redis.call("HSET", KEYS[4], "run", ARGV[1])
redis.call("XADD", KEYS[5], "*", "opened", ARGV[5], "holders", ARGV[4])
redis.call("SET", KEYS[2], ARGV[2], "PXAT", ARGV[3])
redis.call("PEXPIREAT", KEYS[4], ARGV[3])
redis.call("PEXPIREAT", KEYS[5], ARGV[3])
redis.call("SET", KEYS[1], ARGV[5], "PXAT", ARGV[3])
return 1
