-- Returns the unit of an order that the database has cancelled or voided.
-- KEYS[1] stock string integer >= 0
-- KEYS[2] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- KEYS[3] pending hash order id -> `<user id>:<owner>`
-- KEYS[4] journal stream
-- ARGV[1] run_id of the server
-- ARGV[2] user_id
-- ARGV[3] order_id
-- ARGV[4] journal_length_max integer >= 1
-- Returns 2 given_back
-- Returns 1 not_holder: the buyer's unit, if there is one, is of another order
-- Returns 0 not_loaded
local held = redis.call("HMGET", KEYS[2], "run", ARGV[2])
if held[1] ~= ARGV[1] or redis.call("EXISTS", KEYS[1]) == 0 then
  return 0
end
redis.call("HDEL", KEYS[3], ARGV[3])
if not held[2] or string.match(held[2], "^%d+") ~= ARGV[3] then
  return 1
end
redis.call("HDEL", KEYS[2], ARGV[2])
redis.call("INCR", KEYS[1])
local entry = { "given_back", ARGV[3] }
redis.pcall("XADD", KEYS[4], "NOMKSTREAM", "MAXLEN", "~", ARGV[4], "*", unpack(entry))
return 2
