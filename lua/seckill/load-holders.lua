-- Adds buyers who have a live admission to a gate that is being loaded. After the stock is there it
-- does nothing: a late copy of this call must not bring back a holder who has given back.
-- KEYS[1] stock string; there only when the gate is loaded
-- KEYS[2] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- ARGV[1] run_id of the server
-- ARGV[2..] users_and_attempts user id and `<order id>:<request id>` in turn, at most 500 pairs
-- Returns 1 added
-- Returns 0 disturbed: the load was not begun by this run, or is over
if redis.call("EXISTS", KEYS[1]) == 1 or redis.call("HGET", KEYS[2], "run") ~= ARGV[1] then
  return 0
end
redis.call("HSET", KEYS[2], unpack(ARGV, 2))
return 1
