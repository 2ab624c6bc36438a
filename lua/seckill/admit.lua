-- Lets buyers through the gate of a sale, first come, first served, one unit each. Pending is written
-- first: a script that breaks off is not rolled back, and must never give a unit twice. A request that
-- nobody waits for any more does nothing: its units would be kept for buyers who were told otherwise.
-- KEYS[1] stock string integer >= 0
-- KEYS[2] window string `<starts_at_ms>:<ends_at_ms>`
-- KEYS[3] users hash user id -> `<order id>:<request id>`; field `run` = the server run it is of
-- KEYS[4] pending hash order id -> `<user id>:<owner>`; field `run` as above
-- KEYS[5] journal stream, an entry per batch of winners
-- ARGV[1] run_id of the server
-- ARGV[2] owner of the winners' commit
-- ARGV[3] journal_length_max integer >= 1
-- ARGV[4] not_after_ms by Redis's clock, ms since the Unix epoch: nobody waits for the answer then
-- ARGV[5] settled_count 0..500
-- ARGV[6..] settled_and_candidates order ids, then user id and `<order id>:<request id>` in turn
-- Returns a string with a letter per candidate, the time by Redis's clock in ms, then in turn an order id
-- for each R, D and P:
-- A admitted, R the same attempt again, D already has one, P in progress, S sold out, B before the
-- window, E after it (both by Redis's clock), N not loaded and L too late: nothing was done for anybody
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
local first, asked = 6 + ARGV[5], { "run" }
for at = first, #ARGV, 2 do
  asked[#asked + 1] = ARGV[at]
end
if now > tonumber(ARGV[4]) then return { string.rep("L", #asked - 1), tostring(now) } end
local held = redis.call("HMGET", KEYS[3], unpack(asked))
local gate = redis.call("MGET", KEYS[1], KEYS[2])
if held[1] ~= ARGV[1] or not gate[1] or not gate[2] then
  return { string.rep("N", #asked - 1), tostring(now) }
end
if first > 6 then redis.call("HDEL", KEYS[4], unpack(ARGV, 6, first - 1)) end
local starts_at, ends_at = string.match(gate[2], "(%d+):(%d+)")
local closed = now < tonumber(starts_at) and "B" or now >= tonumber(ends_at) and "E"
local stock, granted, owner = tonumber(gate[1]), {}, ":" .. ARGV[2]
local reply, letters, pending, users, journal = { "", tostring(now) }, {}, {}, {}, {}
for index = 1, #asked - 1 do
  local user, attempt = asked[index + 1], ARGV[first + 2 * index - 1]
  local mine = granted[user] or held[index + 1]
  if not mine and (closed or #journal >= stock) then
    letters[index] = closed or "S"
  elseif not mine then
    letters[index], granted[user] = "A", attempt
    journal[#journal + 1] = string.match(attempt, "^%d+")
    pending[#pending + 1], pending[#pending + 2] = journal[#journal], user .. owner
    users[#users + 1], users[#users + 2] = user, attempt
  else
    local attempted, request = string.match(attempt, "^(%d+):(.*)$")
    local order, first_request = string.match(mine, "^(%d+):(.*)$")
    local is_pending = granted[user] or redis.call("HEXISTS", KEYS[4], order) == 1
    local is_same = order == attempted or first_request == request
    letters[index], reply[#reply + 1] = is_same and "R" or is_pending and "P" or "D", order
    if is_same and is_pending then
      pending[#pending + 1], pending[#pending + 2] = order, user .. owner
    end
  end
end
reply[1] = table.concat(letters)
if #pending > 0 then redis.call("HSET", KEYS[4], unpack(pending)) end
if #journal > 0 then
  redis.call("HSET", KEYS[3], unpack(users))
  redis.call("DECRBY", KEYS[1], #journal)
  local entry = { "admitted", table.concat(journal, ","), "owner", ARGV[2] }
  redis.pcall("XADD", KEYS[5], "NOMKSTREAM", "MAXLEN", "~", ARGV[3], "*", unpack(entry))
end
return reply
