-- The floor's gate: one unit a buyer, first come, first served, within the window.
-- KEYS[1] stock string integer >= 0
-- KEYS[2] users hash user id -> order id
-- KEYS[3] journal stream, an entry per batch of winners
-- ARGV[1..] starts_at_ms, ends_at_ms, then user id and order id in turn
-- Returns a string per candidate: an order id, `D` when he has one already, `S` sold out, `B` closed
local time, asked, reply = redis.call("TIME"), {}, {}
local now = time[1] * 1000 + time[2] / 1000
for at = 3, #ARGV, 2 do asked[#asked + 1] = ARGV[at] end
local is_closed = now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])
local held, stock = redis.call("HMGET", KEYS[2], unpack(asked)), tonumber(redis.call("GET", KEYS[1]))
local users, orders, granted = {}, {}, {}
for index, user in ipairs(asked) do
  if is_closed then
    reply[index] = "B"
  elseif held[index] or granted[user] then
    reply[index] = "D"
  elseif #orders >= stock then
    reply[index] = "S"
  else
    local order = ARGV[2 + 2 * index]
    reply[index], granted[user], orders[#orders + 1] = order, true, order
    users[#users + 1], users[#users + 2] = user, order
  end
end
if #orders > 0 then
  redis.call("HSET", KEYS[2], unpack(users))
  redis.call("DECRBY", KEYS[1], #orders)
  redis.call("XADD", KEYS[3], "MAXLEN", "~", "1000", "*", "admitted", table.concat(orders, ","))
end
return reply
